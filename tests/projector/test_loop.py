"""The loop: what counts as a success, and what it does about a Redis that takes only little at a time."""

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from projector.assignment.assignment import Taken
from projector.assignment.partition import Partition
from projector.errors import StoreUnavailableError
from projector.fold.batch import MAX_BATCH_RECORDS, ONE_STEP, Batch, Limits
from projector.metrics import Metrics
from projector.projector import Projector
from projector.replay.follow.log_up_to_limit import KnownLetters
from tests.support.events import event, record

ITEM = TopicPartition("t", 0)
# A write takes longer than the next batch is folded, which lets it go on several times for each slice.
WRITE_TURNS = 100
RECORDS = [record(offset, event()) for offset in range(4 * MAX_BATCH_RECORDS)]


class Place:
    """A partition with all its records there to be taken, from where Redis stands."""

    def __init__(self) -> None:
        self.stored = 0
        self.forget()

    def forget(self, _: object = None) -> None:
        """Begin again where Redis stands."""
        end = len(RECORDS)
        self.partition = Partition(ITEM, (self.stored,), self.stored, leader=1, applied=self.stored, end=end)

    @property
    def is_caught_up(self) -> bool:
        """Whether all is applied."""
        return not self.partition.is_behind

    async def take(self) -> Taken:
        """Take all that is left."""
        await asyncio.sleep(0)
        if self.partition.next == len(RECORDS):
            return Taken([], {})
        stretch = self.partition.take(RECORDS[self.partition.next :], len(RECORDS))
        return Taken([stretch], {self.partition.name: self.partition})


class ThinLink:
    """A store that takes batches up to a size; others end in a timeout."""

    def __init__(self, place: Place, most_records: int) -> None:
        self.place = place
        self.most_records = most_records
        self.projector: Projector
        self.tried: list[int] = []
        self.troubles: list[str | None] = []
        self.was_idle = self.is_at_work = self.was_prepared_meanwhile = False

    async def open(self, _: object) -> None:
        """Nothing is needed."""

    def limits(self, _: object) -> Limits:
        """Take no more than one step."""
        return ONE_STEP

    async def prepare(self, batch: Batch) -> Batch:
        """Take note of whether another one is under way meanwhile."""
        self.was_prepared_meanwhile |= self.is_at_work
        return batch

    async def write(self, batch: Batch) -> int:
        """Take a batch, or not; the loop goes on as far as it can meanwhile."""
        self.is_at_work = True
        try:
            return await self._write(batch)
        finally:
            self.is_at_work = False

    async def _write(self, batch: Batch) -> int:
        for _ in range(WRITE_TURNS):
            self.was_idle |= self.projector.is_idle
            await asyncio.sleep(0)
        self.tried.append(batch.records)
        self.troubles.append(self.projector.trouble)
        if batch.records > self.most_records:
            raise StoreUnavailableError("Timeout")
        self.place.stored = batch.spans[-1].next
        if self.place.stored == len(RECORDS):
            self.projector.stop()
        return 0


async def run(most_records: int, seconds: float) -> ThinLink:
    """Run the loop for so long, or until all is applied."""
    place = Place()
    store = ThinLink(place, most_records)
    log = SimpleNamespace(ends=None)
    parts: Any = (log, store, KnownLetters(), place, Metrics())
    store.projector = Projector(*parts)
    running = asyncio.create_task(store.projector.run())
    await asyncio.wait({running}, timeout=seconds)
    store.projector.stop()
    await running
    return store


async def test_a_batch_that_is_not_taken_is_halved_and_grows_again() -> None:
    """A link too thin for whole batches gets smaller ones, and all of it arrives; nothing is larger than needed."""
    store = await run(MAX_BATCH_RECORDS // 3, 20)
    assert store.place.stored == len(RECORDS)
    assert store.tried[:3] == [MAX_BATCH_RECORDS, MAX_BATCH_RECORDS // 2, MAX_BATCH_RECORDS // 4]
    assert store.troubles[1] == store.troubles[2] == "Timeout"
    most_records = store.projector._most_records  # noqa: SLF001 - how it is seen
    assert min(store.limits(()).records, most_records) == MAX_BATCH_RECORDS  # what the next turn would take
    assert store.projector.trouble is None


async def test_nothing_is_a_success_before_redis_has_it() -> None:
    """While nothing is applied the trouble stays, however often a batch is begun; it is as small as one record then."""
    store = await run(0, 2)
    assert store.place.stored == 0
    assert set(store.troubles[1:]) == {"Timeout"}
    assert store.projector.trouble == "Timeout"
    assert store.tried[-1] < MAX_BATCH_RECORDS // 4  # with the pauses between them, that is how far it comes


async def test_who_waits_for_a_batch_is_not_idle() -> None:
    """As long as a batch is under way the loop does not say that it is idle, also while it only waits for it."""
    store = await run(MAX_BATCH_RECORDS, 20)
    assert store.place.stored == len(RECORDS)
    assert not store.was_idle


async def test_a_batch_is_prepared_while_redis_has_the_one_before() -> None:
    """Redis does not wait until what is sent next was encoded."""
    store = await run(MAX_BATCH_RECORDS, 20)
    assert store.was_prepared_meanwhile
