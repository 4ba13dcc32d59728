"""The diagnosis of a job that is given as it is written in docs/diagnosis.md: reports, and what else is known."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from projector.fold.job import FoldedJob
from projector.fold.stored_job import fields_of
from schemas.diagnosis.case import Letter, Part
from schemas.diagnosis.limits import limits_of
from schemas.event_time import sortable_time, unix_seconds
from schemas.identity import JobIdentity
from schemas.job_event import JobEvent
from schemas.job_status import StoredJob, View
from schemas.job_timeline import Known, render
from schemas.lifecycle import STAGE_BY_NAME
from schemas.redis_layout import STORED_FIELDS
from schemas.registers import record_text

IDENTITY = JobIdentity("0x1111", "0x2222", "3333", 1)
SOURCE = "/workers/gpu-7"
PARTITION = "job-events/0"
_OF_REPORT = frozenset({"stage", "time", "recordedAt", "offset"})


def report(stage: str, time: str, recorded_at: str | None = None, **details: Any) -> dict[str, Any]:
    """Return a report as documents write it."""
    return {"stage": stage, "time": time, **({"recordedAt": recorded_at} if recorded_at else {}), **details}


def row_of(reports: Sequence[Mapping[str, Any]]) -> StoredJob:
    """Return the job that these reports give, as Redis would answer it."""
    job = FoldedJob(IDENTITY)
    for index, given in enumerate(reports):
        number = given.get("offset", index)
        details = {name: value for name, value in given.items() if name not in _OF_REPORT}
        time = sortable_time(given["time"])
        recorded = unix_seconds(sortable_time(given["recordedAt"])) * 1000 if "recordedAt" in given else -1
        event = JobEvent(IDENTITY, STAGE_BY_NAME[given["stage"]], time, SOURCE, f"e{number}", details)
        job.add(event, record_text(PARTITION, number, time, recorded))
    fields = fields_of(job)
    return [fields[name].encode() if name in fields else None for name in STORED_FIELDS]


def timeline_of(given: Mapping[str, Any], view: View | None = None) -> dict[str, Any]:
    """Return the timeline of what is given: `reports` and `now`; `refused`, `projection`, `limits`, `asOf`, `keptFor`.

    Without `projection` all is known up to now; `refused` is null where it cannot be read.
    """
    refused = given.get("refused", ())
    letters = None if refused is None else [_letter(number, one) for number, one in enumerate(refused)]
    kept_for = timedelta(seconds=given["keptFor"]) if "keptFor" in given else None
    limits = limits_of(given.get("limits", ""))
    known = Known(sortable_time(given["now"]), lambda _: _part(given), letters, limits, kept_for)
    as_of = sortable_time(given["asOf"]) if "asOf" in given else None
    timeline = render(row_of(given["reports"]), view or View(as_of=as_of), known)
    assert timeline is not None
    return timeline


def diagnosis_of(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the diagnosis of what is given."""
    found: list[dict[str, Any]] = timeline_of(given)["diagnosis"]
    return found


def codes_of(given: Mapping[str, Any]) -> list[str]:
    """Return the codes of the diagnosis of what is given."""
    return [one["code"] for one in diagnosis_of(given)]


def _letter(number: int, given: Mapping[str, str]) -> Letter:
    return Letter(sortable_time(given["date"]), f"{PARTITION}/{100 + number}", given["reason"])


def _part(given: Mapping[str, Any]) -> Part:
    if "projection" not in given:
        return Part(0, sortable_time(given["now"]), is_current=True)
    stated = given["projection"]
    confirmed = sortable_time(stated["confirmed"]) if stated["confirmed"] else None
    return Part(stated["lag"], confirmed, confirmed == sortable_time(given["now"]), tuple(stated.get("held", ())))
