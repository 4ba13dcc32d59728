"""The rule of the fold a second time, to check the first one: what a set of reported facts says of a job.

Nothing of `projector.fold` is used, so a fault there is found. Facts are tuples of what was reported, kept as they
come; only when somebody asks is the least or the greatest of them taken, compared value by value, not as joined text.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, Self

import msgpack

from schemas.identity import JobIdentity
from schemas.job_event import JobEvent
from schemas.lifecycle import STAGE_BY_NAME

_new: Final = tuple.__new__  # a third of the time of a NamedTuple's own constructor


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


class Heard(NamedTuple):
    """A fact about signs of life: a stage that was reported at several times, and the last of them."""

    stage_code: int
    time: str


class Kept(NamedTuple):
    """A job as facts give it: of each stage, each detail and of signs of life the one fact that counts."""

    identity: JobIdentity
    stages: Mapping[str, Reached]
    details: Mapping[str, Said]
    news: Heard | None = None

    @property
    def created(self) -> str:
        """The earliest time of any stage."""
        return min(fact.time for fact in self.stages.values())

    @property
    def last_news(self) -> str:
        """The latest time of what is kept."""
        facts: list[Reached | Said | Heard] = [*self.stages.values(), *self.details.values()]
        return max(fact.time for fact in [*facts, *([self.news] if self.news else [])])


class Facts:
    """What was reported of one attempt of a job, in any order, any number of times."""

    __slots__ = ("_heard", "_reached", "_said", "identity")

    def __init__(self, identity: JobIdentity) -> None:
        self.identity = identity
        self._reached: dict[str, list[Reached]] = {}
        self._said: dict[str, list[Said]] = {}
        self._heard: list[Heard] = []

    def report(self, event: JobEvent, record: str) -> None:
        """Take in what an event says; `record` tells where and when it was recorded."""
        _, stage, time, source, event_id, details = event
        self._reached.setdefault(stage.name, []).append(Reached(time, source, event_id, record))
        for name, value in details.items():
            self._said.setdefault(name, []).append(Said(stage.code, time, event_id, _text(value)))

    def take(self, kept: Kept) -> Self:
        """Take in what other reports of the same attempt gave."""
        for stage, reached in kept.stages.items():
            self._reached.setdefault(stage, []).append(reached)
        for detail, said in kept.details.items():
            self._said.setdefault(detail, []).append(said)
        if kept.news:
            self._heard.append(kept.news)
        return self

    @property
    def kept(self) -> Kept:
        """What counts.

        Of each stage the earliest report, of equal times the least source, event and record; of each detail what was
        said at the furthest stage, and there last, of equal times the greatest event and value; of all stages that were
        reported at more times than one the furthest, and its last time.
        """
        return Kept(
            self.identity,
            {name: min(facts) for name, facts in self._reached.items()},
            {name: max(facts) for name, facts in self._said.items()},
            max([*self._heard, *self._repeated()], default=None),
        )

    def _repeated(self) -> Iterator[Heard]:
        for name, facts in self._reached.items():
            times = {fact.time for fact in facts}
            if len(times) > 1:
                yield Heard(STAGE_BY_NAME[name].code, max(times))


def packed(job: Kept) -> bytes:
    """Return a job as bytes that stand for it in a file."""
    written: bytes = msgpack.packb(job)
    return written


def unpacked(written: bytes) -> Kept:
    """Return the job that `packed` wrote so."""
    identity, stages, details, news = msgpack.unpackb(written, use_list=False)
    return Kept(
        _new(JobIdentity, identity),
        {name: _new(Reached, fact) for name, fact in stages.items()},
        {name: _new(Said, fact) for name, fact in details.items()},
        _new(Heard, news) if news else None,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
