"""The table of causes: why a job is where it is, most urgent first; docs/diagnosis.md has an example of each.

To add a cause: a condition in `conditions.py`, a line here, and its row and example in docs/diagnosis.md.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from schemas.diagnosis import conditions
from schemas.diagnosis.case import Case
from schemas.diagnosis.conditions import Finding, Moment
from schemas.event_time import iso_seconds

Actor = Literal["user", "worker", "operator"]
ACTORS: Final = ("user", "worker", "operator")


class Cause(NamedTuple):
    """Why a job can be where it is.

    `holds` finds it; `hint` says it to people in a sentence or two, out of what shows it; `actor` is whose turn it is;
    `retriable` tells whether it can get better by waiting, or by doing the same again. `of_finished` tells whether it
    is said of a job that has ended.
    """

    code: str
    holds: Callable[[Case], Finding | None]
    hint: str
    actor: Actor
    retriable: bool
    of_finished: bool = False


class Diagnosis(NamedTuple):
    """A cause that holds, since when, and what shows it."""

    cause: Cause
    since: str
    evidence: Mapping[str, Any]

    @property
    def hint(self) -> str:
        """What it says to people; it quotes identifiers alone of what was reported, so no control characters."""
        return self.cause.hint.format_map({name: _shown(value) for name, value in self.evidence.items()})


CAUSES: Final = (
    Cause(
        "JOB:FAILED",
        conditions.failed,
        "The job has failed. Its error says why, as far as its worker knew: change what it names, and start it again.",
        actor="user",
        retriable=False,
        of_finished=True,
    ),
    Cause(
        "JOB:CANCELLED",
        conditions.cancelled,
        "The job was cancelled. It can be started again as it is.",
        actor="user",
        retriable=True,
        of_finished=True,
    ),
    Cause(
        "PROJECTION:HELD",
        conditions.held,
        "The part of the log that this job is reported to does not go on ({codes}). What was reported since may not be "
        "shown; the operator has to act.",
        actor="operator",
        retriable=False,
    ),
    Cause(
        "PROJECTION:STALE",
        conditions.stale,
        "Nobody has confirmed since {confirmed} that all reports of this job are shown. Later ones may be missing; the "
        "operator has to start a projector, or to see why none reaches Kafka.",
        actor="operator",
        retriable=True,
    ),
    Cause(
        "PROJECTION:BEHIND",
        conditions.behind,
        "Not all of the part of the log that this job is reported to is shown yet: {lag} events are missing. They are "
        "being applied, and may be about it.",
        actor="operator",
        retriable=True,
    ),
    Cause(
        "EVENTS:REFUSED",
        conditions.refused,
        "Reports of this job were refused: {count} ({reasons}), the last at {last}. What they said is not shown, and "
        "whoever runs its worker has to mend what it reports.",
        actor="worker",
        retriable=False,
        of_finished=True,
    ),
    Cause(
        "WORKER:NEVER_STARTED",
        conditions.never_started,
        "Nothing has begun since the job was accepted by {source} at {started}. Whoever runs that worker can see "
        "whether it still runs, and what it waits for.",
        actor="worker",
        retriable=True,
    ),
    Cause(
        "WORKER:SILENT",
        conditions.silent,
        "The worker {source} has said nothing since {lastNews}, at the stage {stage}. Whoever runs it can see whether "
        "it still runs; a report that it could not deliver yet comes later.",
        actor="worker",
        retriable=True,
    ),
    Cause(
        "STAGE:OVERDUE",
        conditions.stage_overdue,
        "The stage {stage} was expected to end by {expectedBy} and has not. It may yet; {source} is at work on it.",
        actor="worker",
        retriable=True,
    ),
    Cause(
        "JOB:OVERDUE",
        conditions.job_overdue,
        "The job was expected to end by {expectedBy} and has not. It may yet, or be cancelled and started again.",
        actor="user",
        retriable=True,
    ),
    Cause(
        "CLOCK:SKEWED",
        conditions.skewed,
        "The dates of this job do not fit each other, or are far from when they were recorded. They are what the clock "
        "of {source} said: it is wrong, or its reports were delivered late.",
        actor="worker",
        retriable=False,
        of_finished=True,
    ),
    Cause(
        "STAGE:SKIPPED",
        conditions.skipped,
        "A stage was never reported ({stages}), though a later one was. Its report may still come; the job goes on.",
        actor="worker",
        retriable=True,
    ),
)
UNDETERMINED: Final = Cause(
    "UNDETERMINED",
    conditions.undetermined,
    "Why the job is where it is cannot be told, for not all is known ({unknown}).",
    actor="operator",
    retriable=True,
)
CODES: Final = (*(cause.code for cause in CAUSES), UNDETERMINED.code)
# Those that an unfinished job can have.
UNFINISHED_CODES: Final = tuple(code for code in CODES if not code.startswith("JOB:") or code == "JOB:OVERDUE")


def diagnose(case: Case) -> list[Diagnosis]:
    """Return every cause that holds, most urgent first; none when all is as it should be."""
    found = list(_found(case))
    if not found and not case.history.is_finished and (finding := conditions.undetermined(case)):
        return [Diagnosis(UNDETERMINED, *finding)]
    return found


def _found(case: Case) -> Iterator[Diagnosis]:
    is_finished = case.history.is_finished
    for cause in CAUSES:
        if is_finished and not cause.of_finished:
            continue
        finding = cause.holds(case)
        if finding is not None:
            yield Diagnosis(cause, *finding)


def _shown(value: Any) -> str:
    if isinstance(value, Moment):
        return iso_seconds(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "it began" if value is None else str(value)
