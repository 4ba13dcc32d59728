"""The projector: records in, one atomic step for each batch out, and one way back after anything that goes wrong.

What Redis shows is a function of the set of events below a stored position, and that position is written in the same
step as the data. So there is one recovery for every failure: forget all positions, read them from Redis, fetch the
log from there.

Case 1: the process dies before the script ran. Nothing of the batch is stored; the next one begins where it began.
Case 2: it dies after the script ran. Position and data are stored; the next one begins behind the batch.
Case 3: the answer is lost. The outcome is unknown; the stored position tells it, as in case 1 or 2.
Case 4: a dead letter was written, and then case 1. The letter is written again; its headers identify it.
Case 5: somebody else applied the batch (a rival, or we before a pause). The script answers `moved` and writes nothing.
Case 6: Redis lost its last writes, or everything. The script answers `moved` or `missing`; the floor hides what is
        there from readers until it has caught up with what had been applied.
Case 7: somebody damaged what is kept beside the jobs, such as a position. It is removed, which is case 6.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

import structlog
from aiokafka.errors import KafkaError

from projector.assignment.assignment import Assignment
from projector.assignment.partition import HOLD_RETRY_SECONDS, Hold, Partition, after
from projector.errors import (
    BucketMissingError,
    BucketSealedError,
    DamagedBucketError,
    DamagedKeyError,
    DeadLetterError,
    ProjectorError,
    StoreUnavailableError,
)
from projector.fold.batch import MAX_WINDOW_RECORDS, Batch, Limits
from projector.fold.batches import Stretch, batches
from projector.letters.writer import Letters
from projector.log.consumer import Log
from projector.metrics import Metrics
from projector.store.buckets import Offsets
from projector.store.calls import let_calls_go_on
from projector.store.generation import Prepared
from projector.store.live import AskEnds
from schemas.redis_layout import DAMAGED_KEY, LETTERS_AWAY
from service.diagnosis.redis import lasting_fault

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 2.0

_log = structlog.get_logger(__name__)


class Store(Protocol):
    """Where batches go: a generation that is live, or is to be."""

    async def open(self, ask_ends: AskEnds) -> None:
        """Make it ready to be written; the ends that the log is asked for become the floor of what has to be begun."""

    async def mend(self, log_ends: Offsets) -> None:
        """Remove what is damaged, and hide that until these ends are reached again."""

    def limits(self, stretches: Sequence[Stretch]) -> Limits:
        """Return what batches of these stretches may become."""

    async def prepare(self, batch: Batch) -> Prepared:
        """Return a batch as it is sent, which is good until it is opened again."""

    async def write(self, prepared: Prepared) -> int:
        """Join in what was prepared and move the positions; return how many jobs changed."""


class Projector:
    """Folds the partitions assigned to it until it is told to stop."""

    def __init__(self, log: Log, store: Store, letters: Letters, assignment: Assignment, metrics: Metrics) -> None:
        self._log = log
        self._store = store
        self._letters = letters
        self._assignment = assignment
        self._metrics = metrics
        self._stopping = asyncio.Event()
        self._in_flight: asyncio.Task[None] | None = None
        self._interruption: ProjectorError | None = None
        self._is_open = self._is_damaged = False
        # Fewer after a batch that Redis did not take, which may have been too much; more with each that it takes.
        self._most_records = MAX_WINDOW_RECORDS
        self._failures = 0
        # When a batch was in Redis, or nothing was left to do; to have asked for something is no success.
        self.succeeded_at = time.monotonic()
        # What hinders us, until the next success.
        self.trouble: str | None = "not started"

    @property
    def is_idle(self) -> bool:
        """Whether the store is open and no batch is under way."""
        return self._is_open and self._in_flight is None

    def stop(self) -> None:
        """End `run` after the batch at hand."""
        self._stopping.set()

    def interrupt(self, error: ProjectorError) -> None:
        """Have `run` react to something that was found out elsewhere."""
        self._interruption = error

    async def run(self) -> None:
        """Fold until `stop`; raises only what trying again cannot mend."""
        while not self._stopping.is_set():
            try:
                await self._turn()
            except (ProjectorError, KafkaError, TimeoutError) as error:
                if isinstance(error, ProjectorError) and not error.retriable:
                    raise
                self._note(error)
                await self._recover(error)
                await self._pause()
        with contextlib.suppress(ProjectorError):
            await self._settle()

    async def _turn(self) -> None:
        """Take what has arrived, fold it, hand it over to Redis."""
        if self._interruption:
            interruption, self._interruption = self._interruption, None
            raise interruption
        await self._open()
        taken = await self._assignment.take()
        limits = self._store.limits(taken.stretches)
        limits = replace(limits, records=min(limits.records, self._most_records))
        for batch in batches(taken.stretches, limits):
            await let_calls_go_on()  # so that Redis works on one batch while the next is folded
            if batch:
                await self._hand_over(batch, taken.partitions)
        if not taken.stretches:
            await self._settle()
            if self._assignment.is_caught_up:
                self._note_success()

    async def _open(self) -> None:
        """Have the store ready to be written."""
        if self._is_damaged:
            await self._store.mend(await self._log.ends())
            self._is_damaged = False
        if not self._is_open:
            await self._store.open(self._log.ends)
            self._is_open = True

    async def _hand_over(self, batch: Batch, partitions: Mapping[str, Partition]) -> None:
        """Start applying a batch, once its dead letters are in the log and the batch before it is in Redis.

        It is prepared while Redis still works on that one. When that fails, what was prepared is not sent.
        """
        self._metrics.begin(batch)
        prepared = await self._store.prepare(batch)
        await self._letters.deliver(batch.refused)
        await self._settle()
        self._metrics.begin(batch)  # again, for the batch before it is applied now
        self._in_flight = asyncio.create_task(self._apply(batch, prepared, partitions))
        await let_calls_go_on()

    async def _apply(self, batch: Batch, prepared: Prepared, partitions: Mapping[str, Partition]) -> None:
        with self._metrics.apply_seconds.time():
            try:
                changed = await self._store.write(prepared)
            except DamagedKeyError as error:
                error.partitions = batch.partitions_of(error.member)
                raise
            except StoreUnavailableError:
                self._most_records = max(1, min(self._most_records, batch.records) // 2)
                raise
        for span in batch.spans:  # of what may be somebody else's by now, or ours again and placed anew
            partitions[span.partition].confirm(span.next)
        self._metrics.count(batch, changed)
        self._most_records = min(MAX_WINDOW_RECORDS, 2 * self._most_records)
        self._note_success()

    async def _settle(self) -> None:
        """Wait for the batch under way, which is under way until then; raises what became of it."""
        if task := self._in_flight:
            try:
                await task
            finally:
                self._in_flight = None

    async def _recover(self, error: Exception) -> None:
        """Bring ourselves to where the next turn can begin from what is stored."""
        with contextlib.suppress(ProjectorError):
            await self._settle()
        if isinstance(error, KafkaError | TimeoutError):
            self._assignment.seek_back()
            return
        if isinstance(error, BucketMissingError | BucketSealedError | DamagedBucketError):
            self._is_open = False
        self._is_damaged |= isinstance(error, DamagedBucketError)
        self._assignment.forget(self._holds(error))

    def _holds(self, error: Exception) -> dict[str, Hold]:
        """Return which partitions an error is about, by name, and what they are held for."""
        if isinstance(error, DamagedKeyError):
            return dict.fromkeys(error.partitions, Hold(DAMAGED_KEY, str(error), after(HOLD_RETRY_SECONDS)))
        if isinstance(error, DeadLetterError):
            return dict.fromkeys(error.partitions, Hold(LETTERS_AWAY, str(error), self._letters.is_back))
        return {}

    def _note(self, error: Exception) -> None:
        text = _told(error)
        if text != self.trouble:
            _log.warning("recovering", reason=type(error).__name__, detail=text)
        self.trouble = text
        self._metrics.recoveries.labels(type(error).__name__).inc()

    def _note_success(self) -> None:
        self._failures = 0
        self.succeeded_at = time.monotonic()
        self.trouble = None

    async def _pause(self) -> None:
        """Wait before the next turn, the longer the more have failed since one was a success."""
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10))
        self._failures += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopping.wait()


def _told(error: Exception) -> str:
    """Return what happened, and what to change where Redis says that itself."""
    text = str(error) or type(error).__name__
    fault = lasting_fault(error.__cause__) if isinstance(error, StoreUnavailableError) else None
    return f"{fault.cause}: {fault.remedy}" if fault else text
