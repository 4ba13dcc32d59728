"""A follower: a process that folds some partitions into a generation, until whoever started it hangs up."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

from aiokafka import TopicPartition

from projector import cycles
from projector.assignment.assignment import Assignment
from projector.assignment.partition import Hold
from projector.closing import close, end
from projector.errors import LeaseLostError, PositionMovedError, StoreUnavailableError
from projector.letters.writer import DeadLetterWriter, new_producer
from projector.metrics import Metrics
from projector.operating.priority import make_way
from projector.operating.running import as_command_errors
from projector.projector import Projector
from projector.replay.follow.filled_generation import FilledGeneration, passed
from projector.replay.follow.log_up_to_limit import KnownLetters, LogUpToLimit
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog, State
from projector.store.generation import Generation
from schemas.redis_layout import EVENTS_GONE, UNREADABLE, Pointer, partition_name
from service.command_line import run_async
from service.errors import CommandError
from service.kafka import start_client
from service.logs import configure_logs
from service.redis import AnyRedis, connect

LOOK_SECONDS: Final = 0.25
CYCLES_SECONDS: Final = 30.0
_LOST: Final = frozenset({EVENTS_GONE, UNREADABLE})


@dataclass(frozen=True, slots=True)
class Task:
    """What a follower does: which generation it fills, how fast (events a second), of which partitions by number.

    And whether it writes letters about the records that it refuses, or whether these have some already.
    """

    settings: ProjectorSettings
    filled: Pointer
    rate: float | None
    partitions: Collection[int] = ()
    writes_letters: bool = False


def follow(task: Task, connection: Connection) -> None:
    """Run a follower in a process of its own; it sends why it cannot go on, and ends when the other side is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the other side decides
    make_way()
    configure_logs(task.settings.log_format)
    logging.getLogger("projector").setLevel(logging.ERROR)
    try:
        run_async(_follow(task, connection))
    except CommandError as error:
        with contextlib.suppress(OSError):
            connection.send((error.exit_code, str(error)))


async def _follow(task: Task, connection: Connection) -> None:
    settings = task.settings
    redis = connect(settings)
    log = LogUpToLimit(settings.kafka_topic, task.partitions, settings.kafka_client_options(), task.rate)
    filled = FilledGeneration(redis, settings.redis_prefix, task.filled)
    assignment = Assignment(log, filled)
    letters = await _letters(task)
    projector = Projector(log, filled, letters, assignment, Metrics())
    guide = _Guide(redis, settings.redis_prefix, log, filled, assignment, projector)
    await start_client(log, settings)
    try:
        await log.join()
        cycles.free_only_when_told()
        with as_command_errors(settings):
            await _first_of(projector.run(), guide.run(), _closed(connection), _tell_holds(assignment, connection))
    finally:
        await close(log.stop)
        await close(letters.stop)
        await close(redis.aclose)


async def _letters(task: Task) -> DeadLetterWriter | KnownLetters:
    if not task.writes_letters:
        return KnownLetters()
    producer = new_producer(task.settings)
    await start_client(producer, task.settings)
    return DeadLetterWriter(producer, task.settings.dead_letter_topic)


async def _first_of(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all parts until one ends; raise what it raised."""
    tasks = [asyncio.create_task(part) for part in parts]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await end(pending)
    for task in done:
        task.result()


async def _closed(connection: Connection) -> None:
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(connection.fileno(), closed.set)
    await closed.wait()


async def _tell_holds(assignment: Assignment, connection: Connection) -> None:
    told: dict[str, str] = {}
    while True:
        held = {item.name: _why(item.hold) for item in assignment.partitions.values() if item.hold}
        if held != told:  # not what only waits for its broker
            told = held
            connection.send((None, told))
        await asyncio.sleep(LOOK_SECONDS)


def _why(hold: Hold) -> str:
    """Return why a partition is held: below the limit nothing can be passed over, for the live generation has it."""
    if hold.code not in _LOST:
        return hold.reason
    return (
        f"{hold.reason.rpartition(': ')[0]}, though the live generation has applied it, which is the last that is left "
        "of it: keep that (`python -m projector export`), and have Kafka restore the partition from a whole replica"
    )


@dataclass(slots=True)
class _Guide:
    """Raises the limits as the live generation moves on, and passes over what was skipped by command."""

    redis: AnyRedis
    prefix: str
    log: LogUpToLimit
    filled: FilledGeneration
    assignment: Assignment
    projector: Projector
    _state: State | None = None
    _freed_at: float = field(default=0.0)

    async def run(self) -> None:
        """Guide until cancelled; LeaseLostError when no generation is live any more."""
        while True:
            with contextlib.suppress(StoreUnavailableError):
                await self._look()
            self._free_cycles()
            await asyncio.sleep(LOOK_SECONDS)

    def _free_cycles(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._freed_at > CYCLES_SECONDS:
            self._freed_at = now
            cycles.free()

    async def _look(self) -> None:
        before = self._state or await self._catalog.read()
        if before.live is None:
            raise LeaseLostError
        names = {partition_name(item.topic, item.partition): item for item in self.log.assignment}
        live = Generation(self.redis, self.prefix, before.live)
        reached = {name: max(one.next) for name, one in (await live.standings(list(names))).items()}
        await self._look_at_filled()
        # After that: what the live generation has passed over by then was noted before.
        self._state = state = await self._catalog.read()
        if state.live == before.live:
            self.filled.reached = reached
            ranges = passed(state.skipped, reached)
            self.log.allow(
                {item: self._limit(item, reached[name], ranges.get(name, {})) for name, item in names.items()}
            )

    async def _look_at_filled(self) -> None:
        """Find out whether the filled generation stands where we do: it may be sifted anew, or have lost writes."""
        settled = {item.name: item.applied for item in self.assignment.partitions.values() if item.is_settled}
        if not settled:
            return
        for name, standing in (await self.filled.generation.standings(list(settled))).items():
            if min(standing.next) < settled[name]:
                self.projector.interrupt(PositionMovedError(name, settled[name], min(standing.next)))

    def _limit(self, item: TopicPartition, reached: int, ranges: Mapping[int, int]) -> int:
        """Return how far a partition may be read: to the next range that is passed over, which placing it does."""
        partition = self.assignment.partitions.get(item)
        applied = partition.applied if partition else 0
        limit = min([reached, *(start for start, end in ranges.items() if applied < end)])
        if partition and limit <= applied < ranges.get(limit, 0):
            self.projector.interrupt(PositionMovedError(partition.name, limit, ranges[limit]))
        return limit

    @property
    def _catalog(self) -> Catalog:
        return Catalog(self.redis, self.prefix)
