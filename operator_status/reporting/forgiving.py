"""Making a report fit: what events do not take is cut or left out, and told. No job must fail by its report."""

from collections.abc import Mapping
from typing import Any, Final

from operator_status.errors import InvalidEventError
from operator_status.event import (
    MAX_RECORD_BYTES,
    Report,
    ReportedJob,
    as_json,
    fault_of_time,
    make_report,
    rfc3339,
)
from operator_status.job import NAMES_IN_EVENTS
from operator_status.published import FINISHED, FINISHED_DETAILS, RULES, STAGES, is_valid, meets

_TEXTS: Final = ("message", "error")
_CUT: Final = "…"
# Beside outputs an event holds identifiers, a few URLs and two texts, each within its limit.
_OUTPUTS_BYTES: Final = MAX_RECORD_BYTES // 2
_NOTHING: Final[tuple[Any, ...]] = (None, "", [], ())


def strict_report(job: ReportedJob, stage: str, details: Mapping[str, Any]) -> Report:
    """Return the event of a stage, with details by their Python names; InvalidEventError names all that is wrong."""
    if faults := [*_unknown_stage(stage), *_unknown_names(details)]:
        raise InvalidEventError(faults)
    return make_report(job, stage, _named(details), details.get("time"))


def fitting_report(job: ReportedJob, stage: str, details: Mapping[str, Any]) -> tuple[Report, list[str]]:
    """Return the same of what events take, and a remark for each thing that was changed.

    Raises InvalidEventError when the stage, or what identifies the job, is not one.
    """
    if faults := _unknown_stage(stage):
        raise InvalidEventError(faults)
    job, of_job = _fitting_job(job)
    named, of_details = fitting(stage, _named(details))
    time, of_time = _fitting_time(details.get("time"))
    return make_report(job, stage, named, time), [*_unknown_names(details), *of_job, *of_details, *of_time]


def fitting(stage: str, details: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the details that events take, by their names there, and a remark for each that was changed.

    Remarks quote no value: a signed URL must not get into a log.
    """
    fit: dict[str, Any] = {}
    remarks = []
    for name, value in details.items():
        if value in _NOTHING:
            continue
        taken, remark = _fit(stage, name, value)
        if taken not in _NOTHING:
            fit[name] = taken
        if remark:
            remarks.append(f"{name}: {remark}")
    return fit, remarks


def _fitting_time(time: Any) -> tuple[Any, list[str]]:
    """Return the time as events write it, or now when it is none."""
    written = rfc3339(time)
    fault = fault_of_time(written)
    return (None, [f"time: {fault}; the present time instead"]) if fault else (written, [])


def _fitting_job(job: ReportedJob) -> tuple[ReportedJob, list[str]]:
    """Return the job with what can stand in for something wrong; what identifies it cannot be made up."""
    source = job.source if is_valid("source", job.source) else "/workers/unknown"
    attempt = job.attempt if is_valid("attempt", job.attempt) and job.attempt else 1
    changed = {"source": source != job.source, "attempt": attempt != job.attempt}
    remarks = [f"{name}: not one that events take; another one instead" for name, is_so in changed.items() if is_so]
    return job._replace(source=source, attempt=attempt), remarks


def _named(details: Mapping[str, Any]) -> dict[str, Any]:
    return {NAMES_IN_EVENTS[name]: value for name, value in details.items() if name in NAMES_IN_EVENTS}


def _unknown_names(details: Mapping[str, Any]) -> list[str]:
    known = (*NAMES_IN_EVENTS, "time")
    return [
        f"{name}: no member of a report; there are {', '.join(known)}" for name in sorted(details) if name not in known
    ]


def _unknown_stage(stage: str) -> list[str]:
    return [] if stage in STAGES else [f"{stage!r}: no stage; there are {', '.join(STAGES)}"]


def _fit(stage: str, name: str, value: Any) -> tuple[Any, str | None]:
    if name in FINISHED_DETAILS and stage != FINISHED:
        return None, f"only for the stage {FINISHED}; left out"
    if name in _TEXTS:
        return _text(value, RULES[name]["maxLength"])
    if name == "outputsURL":
        return _outputs(value)
    return (value, None) if is_valid(name, value) else (None, "not one that events take; left out")


def _text(value: Any, limit: int) -> tuple[str, str | None]:
    text = str(value).encode("utf-8", "replace").decode()
    if len(text) <= limit:
        return text, None
    return text[: limit - len(_CUT)] + _CUT, f"cut to {limit} characters"


def _outputs(value: Any) -> tuple[Any, str | None]:
    rule = RULES["outputsURL"]
    given = [value] if isinstance(value, str) else list(value) if isinstance(value, list | tuple | set) else []
    taken: list[Any] = []
    room = _OUTPUTS_BYTES
    for url in given:
        size = len(as_json(url)) if isinstance(url, str) else 0
        if meets(rule["items"], url) and len(taken) < rule["maxItems"] and size < room:
            taken.append(url)
            room -= 4 * size  # a character has at most four bytes
    left_out = len(given) - len(taken)
    if not given:
        return None, "not a list of URLs; left out"
    return taken, f"{left_out} of {len(given)} URLs left out, which events do not take" if left_out else None
