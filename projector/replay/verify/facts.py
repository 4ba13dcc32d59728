"""The rule of the fold a second time, to check the first one: what a set of reported facts says of a job.

Nothing of `projector.fold` is used, so a fault there is found. Facts are tuples of what was reported, kept as they
come; only when somebody asks is the least or the greatest of them taken, compared value by value, not as joined text.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

from schemas.identity import JobIdentity
from schemas.job_event import JobEvent


class Reached(NamedTuple):
    """A fact about a stage: when it was reached, says who, in which event, and where that stands in the log."""

    time: str
    source: str
    event_id: str
    record: str


class Said(NamedTuple):
    """A fact about a detail: at which stage it was said, when, in which event, and what."""

    stage_code: int
    time: str
    event_id: str
    value: str


class Facts:
    """What was reported of one attempt of a job, in any order, any number of times."""

    __slots__ = ("_reached", "_said", "identity")

    def __init__(self, identity: JobIdentity) -> None:
        self.identity = identity
        self._reached: dict[str, list[Reached]] = {}
        self._said: dict[str, list[Said]] = {}

    def report(self, event: JobEvent, record: str) -> None:
        """Take in what an event says; `record` names where it stands: `<topic>/<partition>/<offset>`."""
        stage = event.stage
        self._reached.setdefault(stage.name, []).append(Reached(event.time, event.source, event.id, record))
        for name, value in event.details.items():
            said = Said(stage.code, event.time, event.id, _text(value))
            self._said.setdefault(name, []).append(said)

    def take(self, reached: dict[str, Reached], said: dict[str, Said]) -> Self:
        """Take in facts by the names of their stages and details."""
        for name, one in reached.items():
            self._reached.setdefault(name, []).append(one)
        for name, other in said.items():
            self._said.setdefault(name, []).append(other)
        return self

    @property
    def stages(self) -> dict[str, Reached]:
        """Of each stage the earliest report; of equal times the least source, event and record."""
        return {name: min(facts) for name, facts in self._reached.items()}

    @property
    def details(self) -> dict[str, Said]:
        """Of each detail what was said at the furthest stage, and there last; of equal times the greatest event."""
        return {name: max(facts) for name, facts in self._said.items()}

    @property
    def created(self) -> str:
        """The earliest time of any stage."""
        return min(fact.time for facts in self._reached.values() for fact in facts)

    @property
    def last_news(self) -> str:
        """The latest time of what is kept."""
        return max(fact.time for kept in (self.stages, self.details) for fact in _values(kept))


def _values(kept: dict[str, Any]) -> Iterator[Reached | Said]:
    yield from kept.values()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
