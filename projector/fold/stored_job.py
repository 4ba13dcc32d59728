"""A job as a line of an archive holds it, and a hash in Redis in its way: identity and registers by their names."""

import re
from collections.abc import Mapping
from typing import Any, Final

from projector.fold.job import FoldedJob
from schemas.job_event import DETAIL_NAMES
from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import CARRIED, IDENTITY_FIELDS, NEWS, STORED_FIELDS
from schemas.registers import is_short
from schemas.stored_job import check_stored, row_of

_FIELDS: Final = frozenset({*STORED_FIELDS, CARRIED})
_CARRIED: Final = re.compile(r"g\d+")


def fields_of(job: FoldedJob) -> dict[str, str]:
    """Return the fields that hold a job."""
    return dict(zip(IDENTITY_FIELDS, map(str, job.identity), strict=True)) | job.stages | job.details


def job_of(fields: Mapping[str, Any], member: bytes | None = None) -> FoldedJob:
    """Return the job that these fields hold; ValueError says what is wrong with them when they hold none.

    With the member under which they are stored: none, too, when they are those of another one.
    """
    if surplus := fields.keys() - _FIELDS:
        raise ValueError(f"unknown fields {sorted(surplus)}")
    if not all(isinstance(value, str) for value in fields.values()):
        raise ValueError("a field is no text")
    if not _CARRIED.fullmatch(fields.get(CARRIED, "g0")):
        raise ValueError("a detail is not as stored")
    identity = check_stored(row_of(fields), member)
    if any(is_short(fields[name]) for name in DETAIL_NAMES if name in fields):
        raise ValueError("a detail is not as stored")
    stages = {name: fields[name] for name in STAGE_NAMES if name in fields}
    details = {name: fields[name] for name in (*DETAIL_NAMES, NEWS, CARRIED) if name in fields}
    return FoldedJob(identity, stages, details)
