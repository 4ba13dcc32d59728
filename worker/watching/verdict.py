"""When a wait is over, and how: a function of what is known of the jobs."""

from collections.abc import Sequence
from typing import NamedTuple

from schemas.lifecycle import FINISHED, Stage
from worker.watching.ending import OF_OUTCOME, WORST_FIRST, Ended, Ending
from worker.watching.job import Job, latest_attempts
from worker.watching.matches import Matches, Query


class Goal(NamedTuple):
    """What is waited for: a stage, of all jobs or of any, and whether there need be one at first."""

    until: Stage = FINISHED
    is_any_enough: bool = False
    waits_for_appearance: bool = False


class Wait(NamedTuple):
    """What is waited for, how long, and how much may go wrong."""

    queries: Sequence[Query]
    goal: Goal
    timeout_seconds: float | None
    max_faults: int


def verdict(known: Sequence[Matches], goal: Goal) -> Ended | None:
    """Return how the wait ends; None as long as it is not decided."""
    missing = [matches for matches in known if matches.is_missing]
    are_enough_missing = len(missing) == len(known) if goal.is_any_enough else missing
    if are_enough_missing and not goal.waits_for_appearance:
        return Ended(Ending.NOT_FOUND, why=f"no job matches {', '.join(matches.query.name for matches in missing)}")
    jobs = latest_attempts(job for matches in known for job in matches.jobs.values())
    judged = [(how, job) for job in jobs if (how := ending_of(job, goal.until)) is not None]
    if goal.is_any_enough:
        return _best(judged)
    are_all_known = all(matches.jobs for matches in known)
    return _worst(judged) if are_all_known and len(judged) == len(jobs) else None


def ending_of(job: Job, until: Stage) -> Ending | None:
    """Return what a job does to the wait for a stage; None while it has not come so far.

    A job that ended without success has passed the stages that it reported, and no others.
    """
    if job.status < until.code:
        return None
    if not job.has_ended:
        return Ending.SUCCEEDED
    if not job.is_told or job.story.outcome is None:
        return None
    if any(until.code <= code < FINISHED.code for code, _ in job.story.dates):
        return Ending.SUCCEEDED
    return OF_OUTCOME.get(job.story.outcome, Ending.FAILED)


def _worst(judged: Sequence[tuple[Ending, Job]]) -> Ended:
    worst = next(ending for ending in WORST_FIRST if any(how is ending for how, _ in judged))
    return Ended(worst, tuple(job for how, job in judged if how is worst))


def _best(judged: Sequence[tuple[Ending, Job]]) -> Ended | None:
    return next((Ended(how, (job,)) for ending in reversed(WORST_FIRST) for how, job in judged if how is ending), None)
