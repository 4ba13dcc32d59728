"""The job status: the object that users see, its JSON Schema, and the one function that renders every view of it.

To add a field: give it a line in `_PROPERTIES` and one in `render`. A detail that workers report comes from `job_event`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from schemas.event_time import SORTABLE_CHARACTERS, iso_seconds, unix_seconds
from schemas.lifecycle import FINISHED, STAGES
from schemas.redis_layout import STORED_FIELDS

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


_STAGE_AT: Final = {stage: STORED_FIELDS.index(stage.name) for stage in STAGES}
_FIRST_STAGE_AT: Final = _STAGE_AT[STAGES[0]]
_STAGES_END: Final = _FIRST_STAGE_AT + len(STAGES)
_FINISHED_AT: Final = _STAGE_AT[FINISHED]
_OWNER, _AGREEMENT, _JOB = (STORED_FIELDS.index(name) for name in ("owner", "agreementId", "jobId"))
_CONFIGLOG, _PUBLISHLOG, _ALGOLOG, _OUTPUTS = (
    STORED_FIELDS.index(name) for name in ("configlogURL", "publishlogURL", "algologURL", "outputsURL")
)
# A detail's register is `<stage code, 2 digits>\t<time>\t<event id>\t<value>`; a stage's begins with the time.
_DETAIL_TIME: Final = slice(3, 3 + SORTABLE_CHARACTERS)


def render(job: StoredJob, view: View) -> dict[str, Any] | None:
    """Return the 11 fields of a job's status in the contract's order, or None when the job did not exist as of then."""
    times = [register and register[:SORTABLE_CHARACTERS].decode() for register in job[_FIRST_STAGE_AT:_STAGES_END]]
    if view.as_of is not None:
        times = [moment if moment and moment <= view.as_of else None for moment in times]
    reached = [moment for moment in times if moment]
    if not reached:
        return None
    stage = next(stage for stage, moment in zip(reversed(STAGES), reversed(times), strict=True) if moment)
    date = unix_seconds if view.dates == "unix" else iso_seconds
    finished = times[-1]
    outputs = _detail(job[_OUTPUTS], view)
    return {
        "owner": _text(job[_OWNER]),
        "agreementId": _text(job[_AGREEMENT]),
        "jobId": _text(job[_JOB]),
        "dateCreated": date(min(reached)),
        "dateFinished": date(finished) if finished else None,
        "status": stage.code,
        "statusText": stage.text,
        "configlogURL": _detail(job[_CONFIGLOG], view) if view.is_admin else None,
        "publishlogURL": _detail(job[_PUBLISHLOG], view) if view.is_admin else None,
        "algologURL": _detail(job[_ALGOLOG], view),
        "outputsURL": orjson.loads(outputs) if outputs else [],
    }


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def _detail(register: bytes | None, view: View) -> str | None:
    if register is None:
        return None
    if view.as_of is not None and register[_DETAIL_TIME].decode() > view.as_of:
        return None
    return register.split(b"\t", 3)[3].decode()
