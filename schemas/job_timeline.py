"""The job timeline: how a job got where it stands, its JSON Schema, and the one function that renders it."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.event_time import iso_seconds, unix_seconds
from schemas.job_event import DEFAULT_ATTEMPT, FINISHED_DETAILS
from schemas.job_status import StoredJob, View, detail_time, shown_text
from schemas.lifecycle import DEFAULT_OUTCOME, FINISHED, OUTCOMES, STAGES, Stage
from schemas.redis_layout import STORED_FIELDS
from schemas.registers import stage_parts, value_in

_STATUS: Final = {"enum": [stage.code for stage in STAGES]}
_STATUS_TEXT: Final = {"enum": [stage.text for stage in STAGES]}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}

_STAGE_PROPERTIES: Final[Mapping[str, Any]] = {
    "status": {**_STATUS, "description": "The stage that was reached."},
    "statusText": _STATUS_TEXT,
    "date": {
        "type": ["string", "integer"],
        "description": "Its earliest report. ISO 8601 UTC, whole seconds; Unix seconds with dates=unix.",
    },
    "source": {"type": "string", "description": "The worker that reported it."},
    "eventId": {"type": "string", "description": "The id of that report."},
    "record": {
        **_TEXT_OR_NULL,
        "description": "Where the report is in the log, topic/partition/offset; for admins, null for everybody else.",
    },
}
_PROPERTIES: Final[Mapping[str, Any]] = {
    "owner": {"type": "string", "description": "ETH address, lower case."},
    "agreementId": {"type": "string", "description": "Lower case when it is 0x-hex, else as reported."},
    "jobId": {"type": "string", "description": "Workflow ID, as reported."},
    "attempt": {"type": "integer", "minimum": 1},
    "status": {**_STATUS, "description": "The furthest stage reached."},
    "statusText": _STATUS_TEXT,
    "stages": {
        "type": "array",
        "description": "The stages that were reported, in the order of the lifecycle.",
        "items": {
            "type": "object",
            "properties": _STAGE_PROPERTIES,
            "required": list(_STAGE_PROPERTIES),
            "additionalProperties": False,
        },
    },
    "message": {**_TEXT_OR_NULL, "description": "The latest remark for people."},
    "outcome": {"enum": [*OUTCOMES, None], "description": "How the job ended; null until then."},
    "error": {**_TEXT_OR_NULL, "description": FINISHED_DETAILS["error"]["description"]},
}
SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "JobTimeline",
    "description": "How one attempt of a job got where it stands.",
    "type": "object",
    "properties": _PROPERTIES,
    "required": list(_PROPERTIES),
    "additionalProperties": False,
}

_STAGES_AT: Final = tuple((stage, STORED_FIELDS.index(stage.name)) for stage in STAGES)
_OWNER, _AGREEMENT, _JOB, _ATTEMPT, _MESSAGE, _OUTCOME, _ERROR = (
    STORED_FIELDS.index(name) for name in ("owner", "agreementId", "jobId", "attempt", "message", "outcome", "error")
)


def render(job: StoredJob, view: View) -> dict[str, Any] | None:
    """Return the timeline of a job, or None when the job did not exist as of then."""
    stages = [stage for kind, at in _STAGES_AT if (stage := _stage(kind, job[at], view))]
    if not stages:
        return None
    furthest = stages[-1]
    has_ended = furthest["status"] == FINISHED.code
    return {
        "owner": shown_text(job[_OWNER]),
        "agreementId": shown_text(job[_AGREEMENT]),
        "jobId": shown_text(job[_JOB]),
        "attempt": int(job[_ATTEMPT] or DEFAULT_ATTEMPT),
        "status": furthest["status"],
        "statusText": furthest["statusText"],
        "stages": stages,
        "message": _detail(job, _MESSAGE, view),
        "outcome": _detail(job, _OUTCOME, view) or (DEFAULT_OUTCOME if has_ended else None),
        "error": _detail(job, _ERROR, view),
    }


def _stage(stage: Stage, register: bytes | None, view: View) -> dict[str, Any] | None:
    if register is None:
        return None
    moment, source, event_id, record = stage_parts(register)
    if not _is_visible(moment, view):
        return None
    return {
        "status": stage.code,
        "statusText": stage.text,
        "date": unix_seconds(moment) if view.dates == "unix" else iso_seconds(moment),
        "source": source,
        "eventId": event_id,
        "record": record if view.is_admin else None,
    }


def _detail(job: StoredJob, at: int, view: View) -> str | None:
    register = job[at]
    if register is None or not _is_visible((detail_time(job, register) or b"").decode(), view):
        return None
    return value_in(register).decode()


def _is_visible(moment: str, view: View) -> bool:
    return view.as_of is None or moment <= view.as_of
