"""What each endpoint that lists jobs tells of them: how a row is rendered, and what it means that there is none."""

from functools import partial
from typing import Final, Protocol

from api.asking.errors import ExpiredJobError, NoSuchJobError
from api.asking.listing import Item, Render
from api.asking.query import Query
from api.exchange import Headers
from api.projection.lookup import Row, Search, member_of, refused_of
from api.projection.scan import Scan
from api.projection.standing import part_of
from schemas import job_status, job_timeline
from schemas.diagnosis.case import Part
from schemas.diagnosis.limits import Limits
from schemas.event_time import sortable_timestamp
from schemas.job_status import View
from schemas.job_timeline import Known

UNKNOWN_JOB: Final = (
    "No such job is known: was it ever reported? Compare jobId, owner and agreementId with what its worker reports"
)
EXPIRED_JOB: Final = "The job has expired"


class Telling(Protocol):
    """What an endpoint tells of jobs."""

    def search(self, query: Query) -> Search:
        """Return what is searched for."""

    def renderer(self, scan: Scan, view: View) -> Render:
        """Return what makes an item of a row of a scan; None when the job did not exist as of then."""

    def check_found(self, query: Query, scan: Scan, headers: Headers) -> None:
        """Look at an answer that is empty: NoAnswerError when that is not what the query asked for."""


class Statuses:
    """Where jobs stand; that nothing matches is an answer like any other."""

    def search(self, query: Query) -> Search:
        """Return what is searched for."""
        return query.search

    def renderer(self, _: Scan, view: View) -> Render:
        """Return what makes a status of a row."""
        return lambda row: job_status.render(row, view)

    def check_found(self, query: Query, scan: Scan, headers: Headers) -> None:
        """Accept it."""


class Timelines:
    """How jobs got where they stand, and why they are there; a job that is named must be one."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def search(self, query: Query) -> Search:
        """Return what is searched for, with the refused events of each job."""
        return query.search._replace(with_refused=True)

    def renderer(self, scan: Scan, view: View) -> Render:
        """Return what makes a timeline of a row."""
        return partial(self._render, scan, view)

    def check_found(self, query: Query, scan: Scan, headers: Headers) -> None:
        """Raise when the query names a job that is not there.

        An owner or an agreement alone may have none, and so may a last page, or a moment in the past.
        """
        if query.job_id is None or scan.has_rows or "cursor" in query.given or query.as_of is not None:
            return
        if scan.has_expired:
            raise ExpiredJobError(EXPIRED_JOB, headers)
        raise NoSuchJobError(UNKNOWN_JOB, headers)

    def _render(self, scan: Scan, view: View, row: Row) -> Item | None:
        origin = scan.origin(member_of(row))

        def part(partitions: frozenset[str]) -> Part:
            if origin.standing is None:  # a row comes with one
                return Part(None, None, is_current=False)
            return part_of(origin.standing, partitions, origin.milliseconds)

        letters, cutoff = refused_of(row), scan.generation.cutoff.decode()
        if letters and cutoff:
            letters = [letter for letter in letters if letter.time >= cutoff]
        now = sortable_timestamp(origin.milliseconds)
        return job_timeline.render(row, view, Known(now, part, letters, self._limits))
