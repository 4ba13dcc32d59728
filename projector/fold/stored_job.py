"""A job as a hash in Redis, or a line of an archive, holds it: identity and registers by the names of their fields."""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from projector.fold.job import FoldedJob
from schemas.identity import MAX_ATTEMPT, MAX_IDENTIFIER_CHARACTERS, JobIdentity
from schemas.job_event import DETAIL_NAMES, DETAILS
from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import CARRIED, IDENTITY_FIELDS, STORED_FIELDS
from schemas.registers import is_detail_register, is_stage_register, value_in

_FIELDS: Final = frozenset({*STORED_FIELDS, CARRIED})
_LISTS: Final = tuple(name for name, schema in DETAILS.items() if "items" in schema)
_CARRIED: Final = re.compile(r"g\d+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def fields_of(job: FoldedJob) -> dict[str, str]:
    """Return the fields that hold a job."""
    return dict(zip(IDENTITY_FIELDS, map(str, job.identity), strict=True)) | job.stages | job.details


def job_of(fields: Mapping[str, Any]) -> FoldedJob:
    """Return the job that these fields hold; ValueError says what is wrong with them when they hold none."""
    if surplus := fields.keys() - _FIELDS:
        raise ValueError(f"unknown fields {sorted(surplus)}")
    if not all(isinstance(value, str) for value in fields.values()):
        raise ValueError("a field is no text")
    if missing := [name for name in IDENTITY_FIELDS if name not in fields]:
        raise ValueError(f"no {missing[0]}")
    stages = {name: fields[name] for name in STAGE_NAMES if name in fields}
    details = {name: fields[name] for name in (*DETAIL_NAMES, CARRIED) if name in fields}
    if not stages:
        raise ValueError("no stage")
    if not all(map(is_stage_register, stages.values())):
        raise ValueError("a stage is not as stored")
    if not all((_CARRIED.fullmatch if name == CARRIED else is_detail_register)(it) for name, it in details.items()):
        raise ValueError("a detail is not as stored")
    for name in _LISTS:
        if name in details:
            orjson.loads(value_in(details[name].encode()))
    return FoldedJob(_identity(fields), stages, details)


def _identity(fields: Mapping[str, str]) -> JobIdentity:
    owner, agreement_id, job_id, attempt = (fields[name] for name in IDENTITY_FIELDS)
    for name, value in zip(IDENTITY_FIELDS, (owner, agreement_id, job_id), strict=False):
        if not value or len(value) > MAX_IDENTIFIER_CHARACTERS or _CONTROL.search(value):
            raise ValueError(f"{name} is no identifier")
    if str(int(attempt)) != attempt or not 1 <= int(attempt) <= MAX_ATTEMPT:
        raise ValueError("attempt is no number from 1 on")
    return JobIdentity(owner, agreement_id, job_id, int(attempt))
