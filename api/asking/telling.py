"""What each endpoint that lists jobs tells of them: how a row is rendered, and what it means that there is none."""

from datetime import timedelta
from functools import partial
from typing import Final, Protocol

from multidict import istr

from api.asking.errors import ExpiredJobError, NoSuchJobError
from api.asking.listing import Item, Render
from api.asking.query import Query
from api.exchange import Headers
from api.projection.gone import GoneJobs
from api.projection.lookup import Row, Search, member_of, refused_of
from api.projection.scan import Scan
from schemas import job_status, job_timeline
from schemas.diagnosis.case import Part
from schemas.diagnosis.limits import Limits
from schemas.diagnosis.part import part_of
from schemas.event_time import iso_seconds, sortable_timestamp
from schemas.job_status import View
from schemas.job_timeline import Known

_RETRY_AFTER: Final = istr("Retry-After")
UNKNOWN_JOB: Final = (
    "No such job is known: was it ever reported? Compare jobId, owner and agreementId with what its worker reports"
)


class Telling(Protocol):
    """What an endpoint tells of jobs."""

    def search(self, query: Query) -> Search:
        """Return what is searched for."""

    def renderer(self, scan: Scan, view: View) -> Render:
        """Return what makes an item of a row of a scan; None when the job did not exist as of then."""

    async def check_found(self, query: Query, scan: Scan, headers: Headers) -> None:
        """Look at an answer that is empty: NoAnswerError when that is not what the query asked for."""


class Statuses:
    """Where jobs stand; that nothing matches is an answer like any other."""

    def search(self, query: Query) -> Search:
        """Return what is searched for."""
        return query.search

    def renderer(self, _: Scan, view: View) -> Render:
        """Return what makes a status of a row."""
        return lambda row: job_status.render(row, view)

    async def check_found(self, query: Query, scan: Scan, headers: Headers) -> None:
        """Accept it."""


class Timelines:
    """How jobs got where they stand, and why they are there; a job that is named must be one."""

    def __init__(self, limits: Limits, gone: GoneJobs) -> None:
        self._limits = limits
        self._gone = gone

    def search(self, query: Query) -> Search:
        """Return what is searched for, with the refused events of each job."""
        return query.search._replace(with_refused=True)

    def renderer(self, scan: Scan, view: View) -> Render:
        """Return what makes a timeline of a row."""
        return partial(self._render, scan, view)

    async def check_found(self, query: Query, scan: Scan, headers: Headers) -> None:
        """Raise when the query names a job that is not there.

        An owner or an agreement alone may have none, and so may a last page, or a moment in the past.
        """
        if query.job_id is None or scan.has_rows or "cursor" in query.given or query.as_of is not None:
            return
        if scan.has_expired:  # and is not taken out yet
            went: int | None = scan.generation.cutoff_raised
        else:
            went = await self._gone.when(query.job_id, query.owner, query.agreement_id)
        if went is None:
            raise NoSuchJobError(UNKNOWN_JOB, headers)
        headers.popall(_RETRY_AFTER, None)  # it does not come back by waiting
        when = f": it went at {iso_seconds(sortable_timestamp(went))}" if went else ""
        raise ExpiredJobError(f"The job has expired{when}", headers)

    def _render(self, scan: Scan, view: View, row: Row) -> Item | None:
        origin = scan.origin(member_of(row))

        def part(partitions: frozenset[str]) -> Part:
            standing = origin.standing
            if standing is None:  # a row comes with one
                return Part(None, None, is_current=False)
            return part_of(partitions, standing.positions, standing.heartbeats, origin.milliseconds)

        letters, cutoff = refused_of(row), scan.generation.cutoff.decode()
        if letters and cutoff:
            letters = [letter for letter in letters if letter.time >= cutoff]
        now, kept_for = sortable_timestamp(origin.milliseconds), scan.generation.kept_for_seconds
        known = Known(now, part, letters, self._limits, None if kept_for is None else timedelta(seconds=kept_for))
        return job_timeline.render(row, view, known)
