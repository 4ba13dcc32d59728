"""The job timeline: how a job got where it stands and why it is there, its JSON Schema, and what renders it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from schemas.diagnosis.case import Case, Letter, Part, after, seconds_between
from schemas.diagnosis.causes import ACTORS, CODES, Diagnosis, diagnose
from schemas.diagnosis.conditions import Moment
from schemas.diagnosis.history import History, ReportedStage, history_of
from schemas.diagnosis.limits import Limits
from schemas.event_time import iso_seconds, sortable_timestamp, unix_seconds
from schemas.job_event import DEFAULT_ATTEMPT, FINISHED_DETAILS
from schemas.job_status import StoredJob, View, shown_text
from schemas.lifecycle import FINISHED, OUTCOMES, STAGES
from schemas.redis_layout import STORED_FIELDS
from schemas.refused_event import MAX_REFUSED

_STATUS: Final = {"enum": [stage.code for stage in STAGES]}
_STATUS_TEXT: Final = {"enum": [stage.text for stage in STAGES]}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_FORM: Final = "ISO 8601 UTC, whole seconds; Unix seconds with dates=unix."
_DATE: Final = {"type": ["string", "integer"], "description": _FORM}
_DATE_OR_NULL: Final = {"type": ["string", "integer", "null"]}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_STAGE: Final = _object(
    {
        "status": {**_STATUS, "description": "The stage that was reached."},
        "statusText": _STATUS_TEXT,
        "date": {**_DATE, "description": f"Its earliest report. {_FORM}"},
        "durationSeconds": {
            "type": ["number", "null"],
            "minimum": 0,
            "description": "Until the next stage that was reported; 0 of the last one, null while it lasts.",
        },
        "expectedBy": {
            **_DATE_OR_NULL,
            "description": "While it lasts: when it ends at the latest, by STAGE_LIMITS; null once it is over.",
        },
        "source": {"type": "string", "description": "The worker that reported it."},
        "eventId": {"type": "string", "description": "The id of that report."},
        "record": {
            **_TEXT_OR_NULL,
            "description": "Where the report is in the log, topic/partition/offset; for admins, null for anybody else.",
        },
        "recordedAt": {
            **_DATE_OR_NULL,
            "description": "When it was recorded there; for admins, null for anybody else, or when Kafka does not say.",
        },
    }
)
_REFUSED: Final = _object(
    {
        "reason": {"type": "string", "description": "The code of a dead letter's reason."},
        "date": {**_DATE, "description": f"When it was recorded. {_FORM}"},
        "record": {
            **_TEXT_OR_NULL,
            "description": "Where it is in the log, topic/partition/offset; for admins, null for everybody else.",
        },
    }
)
_DIAGNOSIS: Final = _object(
    {
        "code": {"enum": list(CODES), "description": "Which cause it is, see docs/diagnosis.md."},
        "since": {**_DATE, "description": f"Since when it holds, as far as that is known. {_FORM}"},
        "evidence": {"type": "object", "description": "What shows it; which members there are depends on the code."},
        "hint": {"type": "string", "description": "What it means and what can be done, for people."},
        "actor": {"enum": list(ACTORS), "description": "Whose turn it is."},
        "retriable": {"type": "boolean", "description": "Whether waiting, or doing the same again, can help."},
    }
)
_PROPERTIES: Final[Mapping[str, Any]] = {
    "owner": {"type": "string", "description": "ETH address, lower case."},
    "agreementId": {"type": "string", "description": "Lower case when it is 0x-hex, else as reported."},
    "jobId": {"type": "string", "description": "Workflow ID, as reported."},
    "attempt": {"type": "integer", "minimum": 1},
    "status": {**_STATUS, "description": "The furthest stage reached."},
    "statusText": _STATUS_TEXT,
    "dateCreated": {**_DATE, "description": f"Earliest time of any of its events. {_FORM}"},
    "dateFinished": {**_DATE_OR_NULL, "description": "Time of the finished event; null until then."},
    "expiresAt": {
        **_DATE_OR_NULL,
        "description": "When it is let go unless there is news of it; null where no age is known at which jobs go.",
    },
    "stages": {
        "type": "array",
        "description": "The stages that were reported, in the order of the lifecycle.",
        "items": _STAGE,
    },
    "outcome": {"enum": [*OUTCOMES, None], "description": "How the job ended; null until then."},
    "message": {**_TEXT_OR_NULL, "description": "The latest remark for people."},
    "error": {**_TEXT_OR_NULL, "description": FINISHED_DETAILS["error"]["description"]},
    "refused": {
        "type": "array",
        "maxItems": MAX_REFUSED,
        "description": "Events that name this job and were refused, the newest first.",
        "items": _REFUSED,
    },
    "diagnosis": {
        "type": "array",
        "description": "Why the job is where it is: every cause that holds, most urgent first; empty when all is well.",
        "items": _DIAGNOSIS,
    },
}
SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "JobTimeline",
    "description": "How one attempt of a job got where it stands, and why it is there.",
    **_object(_PROPERTIES),
}
_OWNER, _AGREEMENT, _JOB, _ATTEMPT = (
    STORED_FIELDS.index(name) for name in ("owner", "agreementId", "jobId", "attempt")
)


class Known(NamedTuple):
    """What is known beside a job's registers: see `Case`.

    `part_of` tells it of partitions; `kept_for` is after how long without news a job is let go, None when nobody knows.
    """

    now: str
    part_of: Callable[[frozenset[str]], Part]
    letters: Sequence[Letter] | None
    limits: Limits
    kept_for: timedelta | None = None


def render(job: StoredJob, view: View, known: Known) -> dict[str, Any] | None:
    """Return the timeline of a job, or None when the job did not exist as of then."""
    history = history_of(job, view.as_of)
    if history is None:
        return None
    case = _case(history, view, known)
    stage = history.current.stage
    return {
        "owner": shown_text(job[_OWNER]),
        "agreementId": shown_text(job[_AGREEMENT]),
        "jobId": shown_text(job[_JOB]),
        "attempt": int(job[_ATTEMPT] or DEFAULT_ATTEMPT),
        "status": stage.code,
        "statusText": stage.text,
        "dateCreated": _date(history.created, view),
        "dateFinished": _date(history.current.time, view) if history.is_finished else None,
        "expiresAt": _date(after(history.last_news, known.kept_for), view) if known.kept_for else None,
        "stages": _stages(history, view, known.limits),
        "outcome": history.outcome,
        "message": history.message,
        "error": history.error,
        "refused": [_refused(letter, view) for letter in sorted(case.letters or (), reverse=True)],
        "diagnosis": [_diagnosis(one, view) for one in diagnose(case)],
    }


def _case(history: History, view: View, known: Known) -> Case:
    """Return what is known now; of a moment in the past, what was known of the job then."""
    if view.as_of is None:
        return Case(history, known.now, known.part_of(history.partitions), known.letters, known.limits)
    now = min(view.as_of, known.now)
    letters = known.letters and [letter for letter in known.letters if letter.time <= view.as_of]
    return Case(history, now, None, letters, known.limits)


def _stages(history: History, view: View, limits: Limits) -> list[dict[str, Any]]:
    following: list[ReportedStage | None] = [*history.stages[1:], None]
    return [_stage(*pair, view, limits) for pair in zip(history.stages, following, strict=True)]


def _stage(reached: ReportedStage, following: ReportedStage | None, view: View, limits: Limits) -> dict[str, Any]:
    lasts = following is None and reached.stage is not FINISHED
    due = after(reached.time, limits.stages[reached.stage.name]) if lasts else None
    recorded = sortable_timestamp(reached.recorded) if reached.recorded is not None and view.is_admin else None
    return {
        "status": reached.stage.code,
        "statusText": reached.stage.text,
        "date": _date(reached.time, view),
        "durationSeconds": None if lasts else max(0.0, seconds_between(reached.time, (following or reached).time)),
        "expectedBy": due and _date(due, view),
        "source": reached.source,
        "eventId": reached.event_id,
        "record": reached.record if view.is_admin else None,
        "recordedAt": recorded and _date(recorded, view),
    }


def _refused(letter: Letter, view: View) -> dict[str, Any]:
    return {
        "reason": letter.reason,
        "date": _date(letter.time, view),
        "record": letter.record if view.is_admin else None,
    }


def _diagnosis(one: Diagnosis, view: View) -> dict[str, Any]:
    return {
        "code": one.cause.code,
        "since": _date(one.since, view),
        "evidence": {
            name: _date(value, view) if isinstance(value, Moment) else value for name, value in one.evidence.items()
        },
        "hint": one.hint,
        "actor": one.cause.actor,
        "retriable": one.cause.retriable,
    }


def _date(time: str, view: View) -> str | int:
    return unix_seconds(time) if view.dates == "unix" else iso_seconds(time)
