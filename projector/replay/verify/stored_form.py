"""How facts about a job are stored, and which facts a stored job holds: the only part here that knows of registers."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from projector.replay.verify.facts import Heard, Kept, Reached, Said
from schemas.identity import JobIdentity
from schemas.job_event import DETAIL_NAMES
from schemas.job_hash import details_in_hash, fields_in, stages_in_hash, stored_identifier
from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import CARRIED, IDENTITY_FIELDS, INDEXES, NEWS, STORED_FIELDS
from schemas.registers import SEPARATOR, detail_stamp, news_parts, news_register, stage_register
from schemas.stored_job import check_stored, row_of

# How much of a detail's register is no value: the parts before it.
_STAMP_PARTS: Final = 3
_FIELDS: Final = frozenset({*STORED_FIELDS, CARRIED})
_CARRIED: Final = re.compile(r"g\d+")


class StoredFacts(NamedTuple):
    """What a stored job says, and the generation that it was carried over from, if it was."""

    kept: Kept
    carried: str | None


def fields_of(kept: Kept, carried: str | None = None) -> dict[str, str]:
    """Return identity and registers of a job by their names."""
    owner, agreement, job, attempt = kept.identity
    identity = dict(zip(IDENTITY_FIELDS, (owner, agreement, job, str(attempt)), strict=True))
    return identity | _stages_of(kept) | _details_of(kept, carried)


def hash_of_facts(kept: Kept, carried: str | None = None) -> dict[str, str]:
    """Return the hash that holds a job."""
    owner, agreement, job, attempt = kept.identity
    stages = _stages_of(kept)
    values = (stored_identifier(owner), stored_identifier(agreement), stored_identifier(job), str(attempt))
    fields = dict(zip(IDENTITY_FIELDS, values, strict=True))
    registers = stages_in_hash(stages) + details_in_hash(_details_of(kept, carried), stages, job)
    fields.update(zip(registers[::2], registers[1::2], strict=True))
    return fields


def _stages_of(kept: Kept) -> dict[str, str]:
    return {name: stage_register(*reached) for name, reached in kept.stages.items()}


def _details_of(kept: Kept, carried: str | None) -> dict[str, str]:
    """Return the registers of details, and others that are of no stage."""
    details = {
        name: detail_stamp(code, time, event) + value for name, (code, time, event, value) in kept.details.items()
    }
    if kept.news:
        details[NEWS] = news_register(*kept.news)
    if carried:
        details[CARRIED] = carried
    return details


def facts_in(stored: Mapping[str, str], member: bytes) -> StoredFacts | None:
    """Return what this hash says; None when it holds no job, or one with another member."""
    fields = fields_in(stored)
    carried = fields.get(CARRIED)
    if not fields.keys() <= _FIELDS or (carried is not None and not _CARRIED.fullmatch(carried)):
        return None
    try:
        identity = check_stored(row_of(fields), member)
    except ValueError:
        return None
    stages = {name: Reached(*fields[name].split(SEPARATOR)) for name in STAGE_NAMES if name in fields}
    details = {name: _said(fields[name]) for name in DETAIL_NAMES if name in fields}
    news = Heard(*news_parts(fields[NEWS].encode())) if NEWS in fields else None
    return StoredFacts(Kept(identity, stages, details, news), carried)


def index_keys(identity: JobIdentity) -> list[str]:
    """Return the keys of the indexes that name a job, without what every key of the bucket starts with."""
    return [index + str(value) for index, value in zip(INDEXES, identity, strict=False)]


def _said(register: str) -> Said:
    code, time, event_id, value = register.split(SEPARATOR, _STAMP_PARTS)
    return Said(int(code), time, event_id, value)
