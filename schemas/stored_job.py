"""What makes a stored job one: the one place that tells a job from damage, for whoever reads what is stored."""

import re
from collections.abc import Mapping
from typing import Final

import orjson

from schemas.identity import MAX_ATTEMPT, MAX_IDENTIFIER_CHARACTERS, JobIdentity, job_member
from schemas.job_event import DETAILS
from schemas.job_hash import read_identifier, stored_identifier
from schemas.job_status import DETAIL_REGISTERS, NEWS_AT, STAGE_REGISTERS, StoredJob, has_lost_stage, shown_urls
from schemas.lifecycle import OUTCOMES
from schemas.redis_layout import IDENTITY_FIELDS, STORED_FIELDS
from schemas.registers import is_detail_register, is_news_register, is_stage_register, value_in

_NAMES: Final = IDENTITY_FIELDS[:-1]
_LISTS: Final = tuple((name, STORED_FIELDS.index(name)) for name, schema in DETAILS.items() if "items" in schema)
_OUTCOME_AT: Final = STORED_FIELDS.index("outcome")
_ATTEMPT: Final = re.compile(rb"[1-9][0-9]{0,18}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def identity_in(job: StoredJob) -> JobIdentity:
    """Return who a stored job is; ValueError says why it is nobody."""
    whole = [value for value in job[: len(IDENTITY_FIELDS)] if value is not None]
    if len(whole) < len(IDENTITY_FIELDS):
        raise ValueError(f"no {IDENTITY_FIELDS[list(job).index(None)]}")
    *identifiers, attempt = whole
    owner, agreement_id, job_id = names = tuple(map(read_identifier, identifiers))
    for name, text in zip(_NAMES, names, strict=True):
        # What is printable holds no control character, and is quicker to tell.
        if not text or len(text) > MAX_IDENTIFIER_CHARACTERS or not (text.isprintable() or not _CONTROL.search(text)):
            raise ValueError(f"{name} is no identifier")
    if not _ATTEMPT.fullmatch(attempt) or int(attempt) > MAX_ATTEMPT:
        raise ValueError("attempt is no number from 1 on")
    return JobIdentity(owner, agreement_id, job_id, int(attempt))


def check_stored(job: StoredJob, member: bytes | None = None) -> JobIdentity:
    """Return who a stored job is; ValueError says what is wrong with it, also when its key is that of another job."""
    identity = identity_in(job)
    if member is not None and job_member(identity).encode() != member:
        raise ValueError("its key is that of another job")
    stages = [register for register in job[STAGE_REGISTERS] if register is not None]
    if not stages:
        raise ValueError("no stage")
    if not all(map(is_stage_register, stages)):
        raise ValueError("a stage is not as stored")
    if not all(map(is_detail_register, [register for register in job[DETAIL_REGISTERS] if register is not None])):
        raise ValueError("a detail is not as stored")
    if has_lost_stage(job):
        raise ValueError("a detail is of a stage that is not there")
    news = job[NEWS_AT]
    if news is not None and not is_news_register(news):
        raise ValueError("the last news is not as stored")
    for name, at in _LISTS:
        register = job[at]
        if register is not None and not _is_list_of_texts(shown_urls(job, register) or ""):
            raise ValueError(f"{name} is no list of texts")
    outcome = job[_OUTCOME_AT]
    if outcome is not None and value_in(outcome).decode() not in OUTCOMES:
        raise ValueError("outcome is none of a job's")
    return identity


def row_of(fields: Mapping[str, str]) -> StoredJob:
    """Return the values of a stored job, of which these are identity and registers by their names."""
    identity = {name: stored_identifier(fields[name]) for name in _NAMES if name in fields}
    known = {**fields, **identity}
    return [known[name].encode() if name in known else None for name in STORED_FIELDS]


def _is_list_of_texts(value: str) -> bool:
    found = orjson.loads(value)
    return isinstance(found, list) and all(isinstance(one, str) for one in found)
