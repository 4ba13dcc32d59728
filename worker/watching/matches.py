"""What is known of a query: nothing yet, that no job matches, or which ones do."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from worker.watching.job import Job, JobKey


class Query(NamedTuple):
    """Which jobs to watch; None: whichever."""

    owner: str | None = None
    agreement_id: str | None = None
    job_id: str | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """The query of the API."""
        named = zip(("owner", "agreementId", "jobId"), self, strict=True)
        return {name: value for name, value in named if value is not None}

    @property
    def name(self) -> str:
        """What is asked for, in a sentence."""
        return " ".join(f"{name}={value}" for name, value in self.parameters.items())


def query_of(key: JobKey) -> Query:
    """Return the query of which all attempts of a job are the answer."""
    return Query(key.owner, key.agreement_id, key.job_id)


class Matches:
    """The jobs that match a query, as far as they are known."""

    def __init__(
        self, query: Query, changed: asyncio.Event, told: Callable[[Job], None], gone: Callable[[Job], None]
    ) -> None:
        """Know nothing yet; what changes sets the event and is told."""
        self.query = query
        self.jobs: dict[JobKey, Job] = {}
        self.is_known = False
        self.asked_at = 0.0  # when their stories were asked for last, by the event loop's clock
        self._changed = changed
        self._missed: frozenset[JobKey] = frozenset()
        self._told = told
        self._gone = gone

    @property
    def is_missing(self) -> bool:
        """Whether it is known that no job matches."""
        return self.is_known and not self.jobs

    def show_all(self, jobs: Iterable[Job]) -> None:
        """Take these for all there are; a job must be missed twice, for one server may know less than another."""
        found = {job.key: job for job in jobs}
        missed = frozenset(self.jobs.keys() - found.keys())
        for key in missed & self._missed:
            self.drop(key)
        self._missed = missed
        self.is_known = True
        for job in found.values():
            self.show(job)
        self._changed.set()

    def show(self, job: Job) -> None:
        """Take in what is new of a job."""
        known = self.jobs.get(job.key)
        joined = known.join(job) if known else job
        if joined != known:
            self.jobs[job.key] = joined
            self._told(joined)
            self._changed.set()

    def drop(self, key: JobKey) -> None:
        """Forget a job that there is no more; how one ended that was seen to end stays known."""
        job = self.jobs.get(key)
        if job and not (job.has_ended and job.is_told):
            del self.jobs[key]
            self._gone(job)
            self._changed.set()

    def untold(self) -> Sequence[Job]:
        """Return the jobs whose story is not of where they stand."""
        return [job for job in self.jobs.values() if not job.is_told]
