"""The history of a job: what was reported of it, out of the registers that are stored."""

from typing import Final, NamedTuple

from schemas.job_status import NEWS_AT, StoredJob, detail_time
from schemas.lifecycle import DEFAULT_OUTCOME, FINISHED, STAGES, Stage
from schemas.redis_layout import STORED_FIELDS
from schemas.registers import news_parts, place_in, recorded_milliseconds, stage_parts, value_in

_STAGES_AT: Final = tuple((stage, STORED_FIELDS.index(stage.name)) for stage in STAGES)
_DETAILS_AT: Final = STORED_FIELDS.index(STAGES[-1].name) + 1
_MESSAGE, _OUTCOME, _ERROR = (STORED_FIELDS.index(name) for name in ("message", "outcome", "error"))


class ReportedStage(NamedTuple):
    """A stage that was reached: its earliest report, and where and when (Unix milliseconds) that was recorded."""

    stage: Stage
    time: str
    source: str
    event_id: str
    record: str
    recorded: int | None


class History(NamedTuple):
    """What was reported of a job: at least one stage, in the order of the lifecycle; times are sortable.

    `last_news` is the latest time of any report that is known of. As of a moment in the past there may have been later
    ones, which nobody can tell by now: then `is_news_known` is False.
    """

    stages: tuple[ReportedStage, ...]
    message: str | None
    outcome: str | None
    error: str | None
    last_news: str
    is_news_known: bool = True

    @property
    def current(self) -> ReportedStage:
        """The furthest stage that was reached."""
        return self.stages[-1]

    @property
    def is_finished(self) -> bool:
        """Whether it has ended."""
        return self.current.stage is FINISHED

    @property
    def created(self) -> str:
        """The earliest time of any report."""
        return min(reached.time for reached in self.stages)

    @property
    def partitions(self) -> frozenset[str]:
        """The partitions in which its stages were recorded."""
        return frozenset(reached.record.rpartition("/")[0] for reached in self.stages)


def history_of(job: StoredJob, as_of: str | None = None) -> History | None:
    """Return what had been reported of a job as of a moment, by now when none is given; None when nothing had."""
    stages = tuple(
        reached
        for stage, at in _STAGES_AT
        if (register := job[at]) and _is_by((reached := _reached(stage, register)).time, as_of)
    )
    if not stages:
        return None
    details = [_time_of(job, register) for register in job[_DETAILS_AT:NEWS_AT] if register]
    news = job[NEWS_AT]
    said = [*details, *([news_parts(news)[1]] if news else [])]
    known = [time for time in said if _is_by(time, as_of)]
    outcome = _detail(job, _OUTCOME, as_of)
    return History(
        stages,
        _detail(job, _MESSAGE, as_of),
        outcome or (DEFAULT_OUTCOME if stages[-1].stage is FINISHED else None),
        _detail(job, _ERROR, as_of),
        max([*known, *(reached.time for reached in stages)]),
        len(known) == len(said),
    )


def _reached(stage: Stage, register: bytes) -> ReportedStage:
    time, source, event_id, record = stage_parts(register)
    return ReportedStage(stage, time, source, event_id, place_in(record), recorded_milliseconds(record, time))


def _detail(job: StoredJob, at: int, as_of: str | None) -> str | None:
    register = job[at]
    if register is None or not _is_by(_time_of(job, register), as_of):
        return None
    return value_in(register).decode()


def _time_of(job: StoredJob, register: bytes) -> str:
    return (detail_time(job, register) or b"").decode()


def _is_by(time: str, as_of: str | None) -> bool:
    return as_of is None or time <= as_of
