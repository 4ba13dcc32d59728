"""The job status: the object that users see, its JSON Schema, and the one function that renders every view of it.

To add a field: give it a line in `_PROPERTIES`, its place among the stored fields, and a line in `render`. What workers
report comes from `job_event`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from schemas.event_time import iso_seconds, unix_seconds
from schemas.job_hash import JOB_ID, read_identifier
from schemas.lifecycle import FINISHED, STAGES, Stage
from schemas.redis_layout import NEWS, STORED_FIELDS
from schemas.registers import DETAIL_CODE, DETAIL_TIME, STAGE_TIME, is_short, value_in

# A job as stored: the values of STORED_FIELDS, in their order; None where it has none.
StoredJob = Sequence[bytes | None]
Dates = Literal["iso", "unix"]

_DATE: Final = {
    "type": ["string", "integer"],
    "description": "ISO 8601 UTC, whole seconds; Unix seconds with dates=unix.",
}
_URL_OR_NULL: Final = {"type": ["string", "null"]}

_PROPERTIES: Final[Mapping[str, Any]] = {
    "owner": {"type": "string", "description": "ETH address, lower case."},
    "agreementId": {"type": "string", "description": "Lower case when it is 0x-hex, else as reported."},
    "jobId": {"type": "string", "description": "Workflow ID, as reported."},
    "dateCreated": {**_DATE, "description": f"Earliest time of any of its events. {_DATE['description']}"},
    "dateFinished": {
        "type": ["string", "integer", "null"],
        "description": "Time of the finished event; null until then.",
    },
    "status": {"enum": [stage.code for stage in STAGES], "description": "The furthest stage reached."},
    "statusText": {"enum": [stage.text for stage in STAGES]},
    "configlogURL": {**_URL_OR_NULL, "description": "For admins; null for everybody else."},
    "publishlogURL": {**_URL_OR_NULL, "description": "For admins; null for everybody else."},
    "algologURL": {**_URL_OR_NULL, "description": "For the user."},
    "outputsURL": {"type": "array", "items": {"type": "string"}, "description": "Empty until known."},
}
SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "JobStatus",
    "description": "Where one attempt of a job stands.",
    "type": "object",
    "properties": _PROPERTIES,
    "required": list(_PROPERTIES),
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class View:
    """How an answer is wanted: with the admins' fields or without, in which dates, as of which moment.

    `as_of` is a sortable time (see `event_time`); nothing later than it is shown.
    """

    is_admin: bool = False
    dates: Dates = "iso"
    as_of: str | None = None


_FIRST_STAGE_AT: Final = STORED_FIELDS.index(STAGES[0].name)
_DETAILS_AT: Final = _FIRST_STAGE_AT + len(STAGES)
# Where a stored job has its registers.
STAGE_REGISTERS: Final = slice(_FIRST_STAGE_AT, _DETAILS_AT)
NEWS_AT: Final = STORED_FIELDS.index(NEWS)
DETAIL_REGISTERS: Final = slice(_DETAILS_AT, NEWS_AT)
# Details and the last news: the time of each is at the same place.
LATEST_REGISTERS: Final = slice(_DETAILS_AT, len(STORED_FIELDS))
_FINISHED_AT: Final = STORED_FIELDS.index(FINISHED.name)
_FURTHEST_FIRST: Final = tuple((stage, STORED_FIELDS.index(stage.name)) for stage in reversed(STAGES))
_AT_OF_CODE: Final = {f"{stage.code:02d}".encode(): STORED_FIELDS.index(stage.name) for stage in STAGES}
_OWNER, _AGREEMENT, _JOB = (STORED_FIELDS.index(name) for name in ("owner", "agreementId", "jobId"))
_CONFIGLOG, _PUBLISHLOG, _ALGOLOG, _OUTPUTS = (
    STORED_FIELDS.index(name) for name in ("configlogURL", "publishlogURL", "algologURL", "outputsURL")
)


def render(job: StoredJob, view: View) -> dict[str, Any] | None:
    """Return the 11 fields of a job's status in the contract's order, or None when the job did not exist as of then."""
    if view.as_of is not None:
        job = _as_of(job, view.as_of.encode())
    stage = _furthest_stage(job)
    if stage is None:
        return None
    date = _unix if view.dates == "unix" else _iso
    finished = job[_FINISHED_AT]
    job_id = shown_text(job[_JOB])
    outputs = _urls(job[_OUTPUTS], job_id)
    return {
        "owner": shown_text(job[_OWNER]),
        "agreementId": shown_text(job[_AGREEMENT]),
        "jobId": job_id,
        "dateCreated": date(min(filter(None, job[_FIRST_STAGE_AT:_DETAILS_AT]))),
        "dateFinished": date(finished) if finished else None,
        "status": stage.code,
        "statusText": stage.text,
        "configlogURL": _urls(job[_CONFIGLOG], job_id) if view.is_admin else None,
        "publishlogURL": _urls(job[_PUBLISHLOG], job_id) if view.is_admin else None,
        "algologURL": _urls(job[_ALGOLOG], job_id),
        "outputsURL": orjson.loads(outputs) if outputs else [],
    }


def _as_of(job: StoredJob, moment: bytes) -> StoredJob:
    """Return the job without what was reported later than the moment."""
    return [
        *job[:_FIRST_STAGE_AT],
        *[it if it and it[STAGE_TIME] <= moment else None for it in job[_FIRST_STAGE_AT:_DETAILS_AT]],
        *[it if it and (detail_time(job, it) or b"") <= moment else None for it in job[_DETAILS_AT:]],
    ]


def detail_time(job: StoredJob, register: bytes) -> bytes | None:
    """Return the time of a detail's register or of the last news; None when its stage, which has it, is not there."""
    if not is_short(register):
        return register[DETAIL_TIME]
    at = _AT_OF_CODE.get(register[DETAIL_CODE])
    stage = None if at is None else job[at]
    return stage[STAGE_TIME] if stage else None


def shown_urls(job: StoredJob, register: bytes) -> str | None:
    """Return the value of a register of URLs as it was reported."""
    return _urls(register, shown_text(job[_JOB]))


def has_lost_stage(job: StoredJob) -> bool:
    """Tell whether a detail has its time from a stage that is not there."""
    for register in job[DETAIL_REGISTERS]:
        if register and is_short(register):
            at = _AT_OF_CODE.get(register[DETAIL_CODE])
            if at is None or not job[at]:
                return True
    return False


def _furthest_stage(job: StoredJob) -> Stage | None:
    for stage, at in _FURTHEST_FIRST:
        if job[at]:
            return stage
    return None


def _iso(register: bytes) -> str:
    return iso_seconds(register[STAGE_TIME].decode())


def _unix(register: bytes) -> int:
    return unix_seconds(register[STAGE_TIME].decode())


def shown_text(value: bytes | None) -> str:
    """Return an identifier as it was reported; empty when there is none."""
    return read_identifier(value) if value else ""


def _urls(register: bytes | None, job_id: str) -> str | None:
    if register is None:
        return None
    value = value_in(register).decode()
    return value.replace(JOB_ID, job_id) if JOB_ID in value else value
