"""When each cause holds: from a case to since when, and what shows it; None when it does not hold.

The worker is blamed for silence only as far as every report is known: while events of the job's partitions are missing,
what is missing may be what it said.
"""

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple

from schemas.diagnosis.case import Case, after, seconds_between
from schemas.diagnosis.history import ReportedStage
from schemas.event_time import sortable_timestamp
from schemas.lifecycle import FINISHED, STAGE_NAMES, STAGES

# A report may be this much later than its record, by the clock of whoever recorded it.
AHEAD_LIMIT: Final = timedelta(minutes=1)
# A report that was recorded so long after its time was delayed, or is of a clock that is behind.
LATE_LIMIT: Final = timedelta(minutes=30)
# Dates are shown in whole seconds: what is out of order by less is not seen.
DISORDER_LIMIT: Final = timedelta(seconds=1)


class Moment(str):
    """A sortable time among what shows a cause."""

    __slots__ = ()


class Finding(NamedTuple):
    """Since when a cause holds, a sortable time, and what shows it."""

    since: str
    evidence: Mapping[str, Any]


def failed(case: Case) -> Finding | None:
    """Find that the job has ended, and failed."""
    return _ended(case, "failed", {"error": case.history.error})


def cancelled(case: Case) -> Finding | None:
    """Find that the job has ended, for somebody wanted that."""
    return _ended(case, "cancelled", {})


def _ended(case: Case, outcome: str, evidence: Mapping[str, Any]) -> Finding | None:
    history = case.history
    if not history.is_finished or history.outcome != outcome:
        return None
    before = history.stages[-2].stage.name if len(history.stages) > 1 else None
    return Finding(history.current.time, {**evidence, "lastStage": before, "source": history.current.source})


def held(case: Case) -> Finding | None:
    """Find that a partition of the job does not go on."""
    part = case.part
    if part is None or not part.held:
        return None
    return Finding(_confirmed(case), {"codes": list(part.held), "lag": part.lag, "confirmed": _moment(part.confirmed)})


def stale(case: Case) -> Finding | None:
    """Find that nobody has just confirmed what is missing."""
    part = case.part
    if part is None or part.is_current:
        return None
    return Finding(_confirmed(case), {"confirmed": _moment(part.confirmed)})


def behind(case: Case) -> Finding | None:
    """Find that events of the job's partitions are not applied yet."""
    part = case.part
    if part is None or not part.lag or not part.is_current:
        return None
    return Finding(_confirmed(case), {"lag": part.lag, "confirmed": _moment(part.confirmed)})


def refused(case: Case) -> Finding | None:
    """Find that events which name the job were refused."""
    if not case.letters:
        return None
    times = [letter.time for letter in case.letters]
    reasons = sorted({letter.reason for letter in case.letters})
    return Finding(min(times), {"count": len(times), "reasons": reasons, "last": Moment(max(times))})


def never_started(case: Case) -> Finding | None:
    """Find that nothing came after `started` within the limit of that stage."""
    first, limit = STAGES[0], case.limits.stages[STAGES[0].name]
    reached = case.history.current
    if reached.stage is not first or not _is_beyond(case, after(reached.time, limit)):
        return None
    evidence = {"source": reached.source, "started": Moment(reached.time), "limitSeconds": _seconds(limit)}
    return Finding(reached.time, evidence)


def silent(case: Case) -> Finding | None:
    """Find that there was no news for longer than the limit."""
    history, limit = case.history, case.limits.silent
    if not history.is_news_known or not _is_beyond(case, after(history.last_news, limit)):
        return None
    evidence = {
        "source": history.current.source,
        "stage": history.current.stage.name,
        "lastNews": Moment(history.last_news),
        "limitSeconds": _seconds(limit),
    }
    return Finding(history.last_news, evidence)


def stage_overdue(case: Case) -> Finding | None:
    """Find that the stage lasts longer than its limit."""
    reached = case.history.current
    limit = case.limits.stages[reached.stage.name]
    due = after(reached.time, limit)
    if not _is_beyond(case, due):
        return None
    return Finding(due, {"stage": reached.stage.name, **_duration(reached.time, due, limit), "source": reached.source})


def job_overdue(case: Case) -> Finding | None:
    """Find that the job as a whole lasts longer than its limit."""
    created, limit = case.history.created, case.limits.job
    due = after(created, limit)
    return Finding(due, _duration(created, due, limit)) if _is_beyond(case, due) else None


def skewed(case: Case) -> Finding | None:
    """Find that stages are out of order in time, or far from when they were recorded."""
    stages = case.history.stages
    disordered = [
        later
        for earlier, later in pairwise(stages)
        if seconds_between(later.time, earlier.time) >= DISORDER_LIMIT.total_seconds()
    ]
    delays = [(reached, delay) for reached in stages if (delay := _delay_seconds(reached)) is not None]
    ahead = [reached for reached, delay in delays if delay < -AHEAD_LIMIT.total_seconds()]
    late = [reached for reached, delay in delays if delay > LATE_LIMIT.total_seconds()]
    wrong = [reached for reached in stages if reached in disordered or reached in ahead or reached in late]
    if not wrong:
        return None
    evidence = {
        "outOfOrder": [reached.stage.name for reached in disordered],
        "ahead": [reached.stage.name for reached in ahead],
        "late": [reached.stage.name for reached in late],
        "seconds": round(max([abs(delay) for reached, delay in delays if reached in wrong], default=0)),
        "source": wrong[0].source,
    }
    return Finding(min(map(_recorded, wrong)), evidence)


def skipped(case: Case) -> Finding | None:
    """Find stages that were never reported though a later one was."""
    reported = {reached.stage.name for reached in case.history.stages}
    before = STAGE_NAMES[: STAGE_NAMES.index(case.history.current.stage.name)]
    missing = [name for name in before if name not in reported]
    if not missing:
        return None
    first = STAGE_NAMES.index(missing[0])
    since = next(reached.time for reached in case.history.stages if STAGE_NAMES.index(reached.stage.name) > first)
    return Finding(since, {"stages": missing, "furthest": case.history.current.stage.name})


def undetermined(case: Case) -> Finding | None:
    """Find what would have to be known to say more."""
    history, unknown = case.history, []
    if not history.is_news_known and case.now > after(history.last_news, case.limits.silent):
        unknown.append("signs of life before that moment")
    if history.last_news > after(case.now, AHEAD_LIMIT):
        unknown.append("the time: reports are ahead of the store's clock")
    if case.letters is None:
        unknown.append("refused events")
    return Finding(history.last_news, {"unknown": unknown}) if unknown else None


def _is_beyond(case: Case, due: str) -> bool:
    """Tell whether an unfinished job stands still beyond a time, as far as its reports are known."""
    known_until = case.known_until
    return known_until is not None and known_until > due and case.history.current.stage is not FINISHED


def _duration(began: str, due: str, limit: timedelta) -> dict[str, Any]:
    return {"began": Moment(began), "expectedBy": Moment(due), "limitSeconds": _seconds(limit)}


def _delay_seconds(reached: ReportedStage) -> float | None:
    """Return how long after its time a report was recorded; None when nobody knows."""
    if reached.recorded is None:
        return None
    return seconds_between(reached.time, sortable_timestamp(reached.recorded))


def _recorded(reached: ReportedStage) -> str:
    return reached.time if reached.recorded is None else sortable_timestamp(reached.recorded)


def _confirmed(case: Case) -> str:
    """Return when the projection was confirmed last, or else the last time of which anything is known."""
    confirmed = case.part.confirmed if case.part else None
    return confirmed or case.history.last_news


def _moment(time: str | None) -> Moment | None:
    return None if time is None else Moment(time)


def _seconds(limit: timedelta) -> int:
    return int(limit.total_seconds())
