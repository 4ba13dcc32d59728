"""Who follows what: subscribers by what they filter by, found by a job's identity with a lookup for each filter."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from api.projection.lookup import FeedPlace
from schemas.identity import JobIdentity
from schemas.job_status import View


class Filter(NamedTuple):
    """What the jobs of a stream have in common; None where it does not matter."""

    owner: str | None
    agreement_id: str | None
    job_id: str | None


class Told(NamedTuple):
    """What a bucket told subscribers of one kind at once: `feed` was the last entry of its feed when it was asked.

    `jobs` is how many there are, and `is_final` says of any of them that it has finished or is gone, `is_open` that it
    has not.
    """

    bucket: int
    feed: FeedPlace
    blocks: bytes
    jobs: int
    is_final: bool
    is_open: bool


class Subscriber(Protocol):
    """A stream, as far as the follower knows it."""

    def offer(self, told: Told) -> None:
        """Take blocks; the same bytes go to all of a kind."""

    def reset(self, reason: str) -> None:
        """Begin again with a snapshot: nobody knows what changed."""

    def health_changed(self) -> None:
        """Learn that the projection became stale, or fresh."""


@dataclass(eq=False, slots=True)
class Kind:
    """Subscribers that are told the same: one query, one view, one role. `binding` is what their ids are bound to."""

    filter: Filter
    digest: str | None
    view: View
    binding: str
    subscribers: set[Subscriber] = field(default_factory=set)


class Subscriptions:
    """All subscribers of a process."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, View], Kind] = {}
        self._by_filter: defaultdict[Filter, list[Kind]] = defaultdict(list)

    def __iter__(self) -> Iterator[Subscriber]:
        """Return those that there are now, whatever becomes of them meanwhile."""
        return iter([subscriber for kind in self._kinds.values() for subscriber in kind.subscribers])

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def add(self, kind: Kind, subscriber: Subscriber) -> Kind:
        """Add a subscriber; return the one object for all of its kind."""
        known = self._kinds.setdefault((kind.binding, kind.view), kind)
        if known is kind:
            self._by_filter[kind.filter].append(kind)
        known.subscribers.add(subscriber)
        return known

    def remove(self, kind: Kind, subscriber: Subscriber) -> None:
        """Let a subscriber go."""
        kind.subscribers.discard(subscriber)
        if not kind.subscribers and self._kinds.get((kind.binding, kind.view)) is kind:
            del self._kinds[kind.binding, kind.view]
            alike = self._by_filter[kind.filter]
            alike.remove(kind)
            if not alike:
                del self._by_filter[kind.filter]

    def of(self, job: JobIdentity) -> list[Kind]:
        """Return the kinds that a job matches."""
        found: list[Kind] = []
        for owner in (job.owner, None):
            for agreement_id in (job.agreement_id, None):
                for job_id in (job.job_id, None):
                    found += self._by_filter.get(Filter(owner, agreement_id, job_id), ())
        return found
