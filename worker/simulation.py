"""Simulated workers: a stream of records that is a pure function of a seed. No clock, no I/O.

    for record in events(seed=1, jobs=1000, mix=Mix(garbage=0.01)):
        ...

Records come in the order in which workers would send them. `expected.expected_jobs` says what users should see of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import accumulate, count
from random import Random
from typing import Final, NamedTuple

from operator_status.event import HEADERS, Headers
from schemas.lifecycle import FINISHED, STAGES, Stage
from worker.garbage import GARBAGE
from worker.simulated_job import CANCELLED, ERRORS, FAILED, MICROSECONDS, SUCCEEDED, Attempt, event_value, owner

MACHINES: Final = 64
MAX_OUTPUTS: Final = 3
MAX_PACE_SECONDS: Final = 86_400.0
LATEST_PACES: Final = 10  # a late report arrives at most so many stages later
LONGEST_JOB_PACES: Final = 20  # fewer than one job in a thousand takes longer
RETRIED: Final = 0.5  # of the failed jobs get a second attempt
WITHDRAWN: Final = 0.2  # of the attempts that do not succeed were cancelled, the others failed

_BEFORE_FINISHED: Final = STAGES[:-1]
_FRACTIONS: Final = ("late", "duplicates", "out_of_order", "garbage", "failures")
_JUST_AFTER_SECONDS: Final = 1 / MICROSECONDS


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """What the simulated traffic is like; each fraction is the share of events (of attempts, for `failures`)."""

    owners: int = 100
    rate: float = 1000.0  # events per second of simulated time, once jobs begin and finish equally often
    pace_seconds: float = 5.0  # mean time that a job stays in a stage
    late: float = 0.0  # sent up to LATEST_PACES later than they happened
    duplicates: float = 0.0  # sent once more
    out_of_order: float = 0.0  # sent after the following report of their job
    garbage: float = 0.0  # followed by a record that cannot be understood
    failures: float = 0.1  # attempts that fail or are cancelled
    start: datetime = datetime(2024, 1, 1, tzinfo=UTC)  # when the first job may begin

    def __post_init__(self) -> None:
        """Raise ValueError for what makes no sense, naming the field."""
        for name in _FRACTIONS:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1")
        if self.owners < 1:
            raise ValueError("owners must be 1 or more")
        if not self.rate > 0:
            raise ValueError("rate must be more than 0")
        if not 0 <= self.pace_seconds <= MAX_PACE_SECONDS:
            raise ValueError(f"pace_seconds must be between 0 and {MAX_PACE_SECONDS:g}")

    @property
    def records_per_job(self) -> float:
        """Mean number of records of a job, repetitions and garbage included."""
        left_out = (len(_BEFORE_FINISHED) - 1) / 2  # an attempt that fails does so after any of these stages
        attempts = 1 + self.failures * (1 - WITHDRAWN) * RETRIED
        return attempts * (len(STAGES) - self.failures * left_out) * (1 + self.duplicates + self.garbage)

    def span_seconds(self, jobs: int) -> float:
        """Return the simulated time in which so many jobs are done, with few exceptions."""
        return jobs * self.records_per_job / self.rate + LONGEST_JOB_PACES * self.pace_seconds


class SimulatedRecord(NamedTuple):
    """A record to send, when to send it, and what it is."""

    key: bytes
    value: bytes | None
    headers: Headers
    due_seconds: float  # after the start
    job: int  # number of the job, from 0; of a garbage record, the job it came with
    garbage: str | None  # its kind, see `garbage.GARBAGE`; None for an event


def events(seed: int, jobs: int, mix: Mix | None = None) -> Iterator[SimulatedRecord]:
    """Yield the records of so many jobs (0: without end) in the order in which they are sent.

    The same arguments give the same records. Memory is bounded by the jobs that are under way at one moment. The key
    of a garbage record is unique, so that a dead letter tells which one it is.
    """
    simulation = _Simulation(seed, mix or Mix())
    waiting: list[tuple[float, int, SimulatedRecord]] = []
    numbers = count()
    for begin, records in simulation.jobs(jobs):
        for record in records:
            heappush(waiting, (record.due_seconds, next(numbers), record))
        while waiting and waiting[0][0] <= begin:
            yield heappop(waiting)[2]
    while waiting:
        yield heappop(waiting)[2]


class _Simulation:
    """One run: where all chance comes from."""

    def __init__(self, seed: int, mix: Mix) -> None:
        self._random = Random(seed)  # noqa: S311 - no secret comes of it
        self._seed = seed
        self._mix = mix
        self._start = int(mix.start.timestamp() * MICROSECONDS)
        self._owners = [owner(number) for number in range(mix.owners)]
        self._kinds = list(GARBAGE)
        self._garbage = count()

    def jobs(self, jobs: int) -> Iterator[tuple[float, list[SimulatedRecord]]]:
        """Yield each job's beginning, never falling, and all its records."""
        begins_per_second = self._mix.rate / self._mix.records_per_job
        begin = 0.0
        for job in range(jobs) if jobs else count():
            begin += self._random.expovariate(begins_per_second)
            yield begin, self._job(job, begin)

    def _job(self, job: int, begin: float) -> list[SimulatedRecord]:
        random = self._random
        address, agreements = random.choice(self._owners)
        identity = {
            "owner": address,
            "agreementId": random.choice(agreements),
            "jobId": f"{random.getrandbits(128):032x}",
        }
        attempt = self._attempt(job, {**identity, "attempt": 1})
        moments = self._moments(attempt, begin)
        records = self._records(attempt, moments)
        if attempt.outcome == FAILED and random.random() < RETRIED:
            again = self._attempt(job, {**identity, "attempt": 2})
            records += self._records(again, self._moments(again, moments[-1][1] + self._pause()))
        return records

    def _attempt(self, job: int, identity: dict[str, str | int]) -> Attempt:
        random = self._random
        source = f"/workers/gpu-{random.randrange(MACHINES)}"
        outcome, error = SUCCEEDED, ""
        if random.random() < self._mix.failures:
            outcome, error = CANCELLED if random.random() < WITHDRAWN else FAILED, random.choice(ERRORS)
        return Attempt(job, identity, source, outcome, error, random.randint(1, MAX_OUTPUTS))

    def _moments(self, attempt: Attempt, begin: float) -> list[tuple[Stage, float]]:
        """Return which stages an attempt reaches, and when; one that does not succeed skips some."""
        stages: Sequence[Stage] = STAGES
        if attempt.outcome != SUCCEEDED:
            stages = (*STAGES[: self._random.randint(1, len(_BEFORE_FINISHED))], FINISHED)
        pauses = (self._pause() for _ in stages[1:])
        return list(zip(stages, accumulate(pauses, initial=begin), strict=True))

    def _records(self, attempt: Attempt, moments: Sequence[tuple[Stage, float]]) -> list[SimulatedRecord]:
        mix, chance = self._mix, self._random.random
        key = attempt.identity["jobId"].encode()
        records: list[SimulatedRecord] = []
        due = 0.0
        # Backwards, because a report that is out of order is sent just after the one that follows it.
        for stage, moment in reversed(moments):
            is_overtaken = chance() < mix.out_of_order
            due = max(due, moment) + _JUST_AFTER_SECONDS if is_overtaken else moment
            if chance() < mix.late:
                due += self._random.uniform(1, LATEST_PACES) * mix.pace_seconds
            value = event_value(attempt, stage, self._start + int(moment * MICROSECONDS))
            record = SimulatedRecord(key, value, HEADERS, due, attempt.job, None)
            if chance() < mix.garbage:
                records.append(self._spoilt(record))
            if chance() < mix.duplicates:
                records.append(record._replace(due_seconds=due + self._pause()))
            records.append(record)
        records.reverse()
        return records

    def _spoilt(self, record: SimulatedRecord) -> SimulatedRecord:
        kind = self._random.choice(self._kinds)
        value, headers = GARBAGE[kind].spoil(record.value or b"")
        key = f"garbage-{self._seed}-{next(self._garbage)}-{kind}".encode()
        return record._replace(key=key, value=value, headers=headers, garbage=kind)

    def _pause(self) -> float:
        pace = self._mix.pace_seconds
        return self._random.expovariate(1 / pace) if pace else 0.0
