"""A follower: a process that folds some partitions into a generation, until whoever started it hangs up."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

from aiokafka import TopicPartition

from projector import cycles
from projector.assignment.assignment import Assignment
from projector.assignment.gaps import Gap, move_past
from projector.closing import close
from projector.errors import LeaseLostError, PositionMovedError, ProjectorError, StoreUnavailableError
from projector.metrics import Metrics
from projector.projector import Projector
from projector.replay.follow.filled_generation import FilledGeneration
from projector.replay.follow.log_up_to_limit import KnownLetters, LogUpToLimit
from projector.running import as_command_errors
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog, State
from projector.store.generation import Generation
from schemas.redis_layout import Pointer, partition_name
from service.command_line import run_async
from service.errors import CommandError
from service.kafka import start_client
from service.logs import configure_logs
from service.redis import AnyRedis, connect

LOOK_SECONDS: Final = 0.25
CATALOG_SECONDS: Final = 1.0
CYCLES_SECONDS: Final = 30.0
# How much less urgent than others a follower is that was given a rate.
POLITE: Final = 10


@dataclass(frozen=True, slots=True)
class Task:
    """What a follower does: which generation it fills, how fast (events a second), of which partitions by number."""

    settings: ProjectorSettings
    filled: Pointer
    rate: float | None
    partitions: Collection[int] = ()


def follow(task: Task, connection: Connection) -> None:
    """Run a follower in a process of its own; it sends why it cannot go on, and ends when the other side is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the other side decides
    if task.rate:
        os.nice(POLITE)
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
    projector = Projector(log, filled, KnownLetters(), assignment, Metrics())
    guide = _Guide(redis, settings.redis_prefix, log, filled, assignment, projector)
    await start_client(log, settings)
    try:
        await log.join()
        cycles.free_only_when_told()
        with as_command_errors(settings):
            await _first_of(projector.run(), guide.run(), _closed(connection), _tell_holds(assignment, connection))
    finally:
        await close(log.stop)
        await close(redis.aclose)


async def _first_of(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all parts until one ends; raise what it raised."""
    tasks = [asyncio.create_task(part) for part in parts]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


async def _closed(connection: Connection) -> None:
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(connection.fileno(), closed.set)
    await closed.wait()


async def _tell_holds(assignment: Assignment, connection: Connection) -> None:
    told: dict[str, str] = {}
    while True:
        if assignment.holds != told:  # not what only waits for its broker
            told = assignment.holds
            connection.send((None, told))
        await asyncio.sleep(LOOK_SECONDS)


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
    _looked_at: float = field(default=0.0)
    _freed_at: float = field(default=0.0)

    async def run(self) -> None:
        """Guide until cancelled; LeaseLostError when no generation is live any more."""
        while True:
            with contextlib.suppress(StoreUnavailableError):
                await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        state = await self._catalog()
        if state.live is None:
            raise LeaseLostError
        names = {partition_name(item.topic, item.partition): item for item in self.log.assignment}
        live = Generation(self.redis, self.prefix, state.live)
        reached = {name: max(one.next) for name, one in (await live.standings(list(names))).items()}
        limits: dict[TopicPartition, int] = {}
        for name, item in names.items():
            ranges = state.skipped.get(name, {})
            limits[item] = min([reached[name], *(start for start, end in ranges.items() if self._is_ahead(item, end))])
            end = ranges.get(limits[item])
            if end is not None and reached[name] >= end:
                await self._pass_over(item, Gap(name, limits[item], end))
        self.log.allow(limits)

    def _is_ahead(self, item: TopicPartition, end: int) -> bool:
        partition = self.assignment.partitions.get(item)
        return partition is None or partition.applied < end

    async def _pass_over(self, item: TopicPartition, gap: Gap) -> None:
        """Pass over a range as soon as everything before it is applied."""
        partition = self.assignment.partitions.get(item)
        if partition is None or partition.applied < gap.start or not self.projector.is_idle:
            return
        with contextlib.suppress(ProjectorError):
            await move_past(gap, self.filled.generation)
        self.projector.interrupt(PositionMovedError(gap.partition, gap.start, gap.to))

    async def _catalog(self) -> State:
        now = asyncio.get_running_loop().time()
        if now - self._freed_at > CYCLES_SECONDS:
            self._freed_at = now
            cycles.free()
        if self._state is None or now - self._looked_at > CATALOG_SECONDS:
            self._state = await Catalog(self.redis, self.prefix).read()
            self._looked_at = now
        return self._state
