"""Doing the faults of a schedule to the system."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import Final, NamedTuple

from tests.support.links import Direction, Link
from tests.torture.faults.mischief import HINDRANCES, MISCHIEF
from tests.torture.faults.schedule import Fault, Kind
from tests.torture.system.names import PROJECTORS
from tests.torture.system.programs import Program
from tests.torture.system.servers import LONGEST_LOSS_SECONDS
from tests.torture.system.system import System

IN_FLIGHT_SECONDS: Final = 0.6  # in which a projector surely begins to write
STORM_GAP_SECONDS: Final = (1.0, 2.0)
SHORTEST_CUT_BYTES, LONGEST_CUT_BYTES = 1, 30_000
THIN_SECONDS: Final = 3.0  # for each piece
SHORTEST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.005, 0.25


class Loss(NamedTuple):
    """When Redis may have lost writes that it had acknowledged (Unix seconds)."""

    began: float
    ended: float


class Faults:
    """Does faults, one at a time to each target, and counts them."""

    def __init__(self, system: System, say: Callable[[str], None]) -> None:
        self.counts: Counter[Kind] = Counter()
        self.kills = 0
        self.losses: list[Loss] = []
        self._system = system
        self._say = say
        self._locks: dict[str, asyncio.Lock] = {}
        self._actions: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
            Kind.KILL_PROJECTOR: self._kill_programs,
            Kind.KILL_BOTH: self._kill_programs,
            Kind.END_PROJECTOR: self._end_program,
            Kind.KILL_API: self._kill_programs,
            Kind.KILL_KAFKA: self._kill_kafka,
            Kind.KILL_REDIS: self._kill_redis,
            Kind.LOSE_SECOND: self._kill_redis,
            Kind.PAUSE_PROJECTOR: self._pause_program,
            Kind.ZOMBIE: self._make_zombie,
            Kind.PAUSE_REDIS: self._pause_redis,
            Kind.PAUSE_KAFKA: self._pause_kafka,
            Kind.FLUSH: self._flush,
            Kind.FAIL_OVER: self._fail_over,
            Kind.STORM: self._storm,
            Kind.JUMP: self._jump,
        }
        self._actions |= dict.fromkeys(MISCHIEF.keys() - self._actions.keys(), self._do_mischief)

    async def run(self, faults: Sequence[Fault]) -> None:
        """Do each fault when it is due and return when the last one is over."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for fault in faults:
                await asyncio.sleep(began + fault.at_seconds - time.monotonic())
                tasks.create_task(self._do(fault))

    async def _do(self, fault: Fault) -> None:
        async with AsyncExitStack() as stack:
            for target in sorted(fault.targets):
                await stack.enter_async_context(self._locks.setdefault(target, asyncio.Lock()))
            self._say(str(fault))
            self.counts[fault.kind] += 1
            await self._actions.get(fault.kind, self._harm_link)(fault)

    async def _kill_programs(self, fault: Fault) -> None:
        self.kills += sum(await asyncio.gather(*(program.kill(fault.seconds) for program in self._programs(fault))))

    async def _end_program(self, fault: Fault) -> None:
        (program,) = self._programs(fault)
        await program.restart(fault.seconds)

    async def _pause_program(self, fault: Fault) -> None:
        (program,) = self._programs(fault)
        await program.pause(fault.seconds)

    async def _make_zombie(self, fault: Fault) -> None:
        """Stop a projector while it writes; what it writes reaches Redis when somebody else has long taken over."""
        program, link, _ = fault.targets
        self._system.links[link].stall(Direction.REQUESTS)
        await asyncio.sleep(IN_FLIGHT_SECONDS)
        await self._system.programs[program].pause(fault.seconds)
        self._system.links[link].heal()

    async def _storm(self, fault: Fault) -> None:
        (program,) = self._programs(fault)
        random = Random(fault.seed)
        deadline = time.monotonic() + fault.seconds
        while time.monotonic() < deadline:
            await asyncio.sleep(random.uniform(*STORM_GAP_SECONDS))
            if random.random() < 0.5:
                self.kills += await program.kill(0)
            else:
                await program.restart(0)

    async def _kill_kafka(self, fault: Fault) -> None:
        self.kills += 1
        kafka = self._system.kafka
        await asyncio.to_thread(kafka.kill)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(kafka.start)

    async def _pause_kafka(self, fault: Fault) -> None:
        self._system.kafka.pause()
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self._system.kafka.resume()

    async def _kill_redis(self, fault: Fault) -> None:
        """Kill Redis; without a cut it may have lost writes too, those it had put off while the disk was busy."""
        self.kills += 1
        lost = Random(fault.seed).uniform(0, LONGEST_LOSS_SECONDS) if fault.kind is Kind.LOSE_SECOND else 0.0
        began = time.time()
        await self._system.redis.kill(fault.seconds, lost)
        self.losses.append(Loss(began, time.time()))

    async def _pause_redis(self, fault: Fault) -> None:
        server = self._system.redis.primary
        server.pause()
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            server.resume()

    async def _flush(self, _: Fault) -> None:
        await self._system.redis.flush()

    async def _fail_over(self, fault: Fault) -> None:
        began = time.time()
        if await self._system.redis.fail_over(fault.seconds):
            self.losses.append(Loss(began, time.time()))
        else:
            self.counts[fault.kind] -= 1

    async def _jump(self, fault: Fault) -> None:
        """While nobody projects, nobody puts right what was written by a clock that was off."""
        programs = [self._system.programs[name] for name in PROJECTORS]
        self.kills += sum(await asyncio.gather(*(program.kill(fault.seconds) for program in programs)))
        await self._do_mischief(fault)
        await asyncio.sleep(fault.seconds)

    async def _do_mischief(self, fault: Fault) -> None:
        try:
            await MISCHIEF[fault.kind](self._system, fault)
        except HINDRANCES as error:
            self.counts[fault.kind] -= 1
            self._say(f"{fault.kind} came to nothing: {error!r}")

    async def _harm_link(self, fault: Fault) -> None:
        link = self._system.links[fault.targets[0]]
        await _harm(link, fault.kind, Random(fault.seed), fault.seconds)

    def _programs(self, fault: Fault) -> list[Program]:
        return [self._system.programs[name] for name in fault.targets]


async def _harm(link: Link, kind: Kind, random: Random, seconds: float) -> None:
    """Have a link suffer for so long, then heal it."""
    match kind:
        case Kind.CLOSE:
            link.close_all()
        case Kind.CUT:
            link.cut_after(int(random.triangular(SHORTEST_CUT_BYTES, LONGEST_CUT_BYTES, SHORTEST_CUT_BYTES)))
        case Kind.STALL:
            link.stall()
        case Kind.LOSE_REPLIES:
            link.stall(Direction.REPLIES)
        case Kind.HOLD_REQUESTS:
            link.stall(Direction.REQUESTS)
        case Kind.DELAY:
            link.delay(random.uniform(SHORTEST_DELAY_SECONDS, LONGEST_DELAY_SECONDS))
        case Kind.THIN:
            link.delay(THIN_SECONDS)
        case Kind.HALF_OPEN:
            link.abandon_all()
        case _:
            raise ValueError(kind)
    await asyncio.sleep(seconds)
    if kind is Kind.LOSE_REPLIES:
        link.close_all()
    link.heal()
