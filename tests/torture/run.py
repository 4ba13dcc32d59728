"""A run: epochs until the time is over or something is wrong."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from tests.torture.clients.traffic import Traffic
from tests.torture.epoch import Epoch, working
from tests.torture.faults.faults import Faults
from tests.torture.faults.schedule import Kind, Part
from tests.torture.judging.anomalies import Anomaly, Name
from tests.torture.judging.calm import InUse, in_use
from tests.torture.judging.clock import Clock
from tests.torture.judging.figures import Figures
from tests.torture.judging.memory import Memory
from tests.torture.judging.new_log import try_new_log
from tests.torture.system.limits import HangingTransactionError, within
from tests.torture.system.system import System

ROUNDS_PER_EPOCH: Final = 4
DIVIDED_BUCKETS: Final = 3  # in every other epoch, until Redis is emptied
PARTITIONS: Final = 4
MANY_PARTITIONS: Final = 40  # on every third topic
NEW_LOG_EVERY: Final = 3  # topics, at the end of them
ROUND_SECONDS: Final = (20.0, 40.0)
# With the peace after it and all that is compared.
LONGEST_ROUND_SECONDS: Final = 400.0


class Run:
    """One run with one seed; `figures` may be read meanwhile."""

    def __init__(
        self,
        seed: int,
        minutes: float,
        directory: Path,
        say: Callable[[str], None],
        taking_part: frozenset[Kind | Part],
        *,
        streams: int,
    ) -> None:
        self.figures = Figures(seed, minutes, taking_part)
        self._streams = streams
        self._taking_part = taking_part
        self._say = say
        self._system = System(directory, say)
        self._faults = Faults(self._system, say)
        self._clock = Clock(self._system.api)
        self._memory = Memory(self._system.programs)
        self._deadline = time.monotonic() + 60 * minutes
        self._base: InUse | None = None

    async def run(self) -> None:
        """Run to the end, or to the first round with anomalies."""
        async with self._system.running(), working(self._clock.run()), working(self._memory.run()):
            epoch = 0
            while self._goes_on():
                epoch += 1
                await self._epoch(epoch)

    def _goes_on(self) -> bool:
        return time.monotonic() < self._deadline and not self.figures.anomalies

    async def _epoch(self, number: int) -> None:
        seed = self.figures.seed
        await self._system.begin(f"torture-{seed}-{number}", MANY_PARTITIONS if number % 3 == 0 else PARTITIONS)
        async with Traffic(self._system.bootstrap_servers, self._system.topic, seed * 1000 + number) as traffic:
            epoch = Epoch(
                self._system,
                traffic=traffic,
                faults=self._faults,
                clock=self._clock,
                figures=self.figures,
                say=self._say,
                buckets=DIVIDED_BUCKETS if number % 2 == 0 else 1,
                taking_part=self._taking_part,
                streams=self._streams,
            )
            await epoch.warm_up()
            if not self._base:
                self._base = await in_use(self._system)
                self._say(f"at first: {self._base}")
            try:
                await self._rounds(epoch, self._base)
                if Part.NEW_LOG in self._taking_part and number % NEW_LOG_EVERY == 1 and not self.figures.anomalies:
                    await self._new_log(traffic, seed * 1000 + number)
            except HangingTransactionError as error:
                self._say(f"the log is given up: {error}")
                self.figures.logs_given_up += 1
        if not self.figures.anomalies:
            await self._system.end()
            self._note([])

    async def _rounds(self, epoch: Epoch, base: InUse) -> None:
        for _ in range(ROUNDS_PER_EPOCH):
            if self._goes_on():
                await self._round(epoch, base)

    async def _new_log(self, traffic: Traffic, seed: int) -> None:
        self._say("the log is made anew")
        trying = try_new_log(self._system, traffic, seed)
        self._note(await within(LONGEST_ROUND_SECONDS, "the end of a log made anew", trying))
        self.figures.new_logs += 1

    async def _round(self, epoch: Epoch, base: InUse) -> None:
        figures = self.figures
        number = figures.rounds = figures.rounds + 1
        seconds = Random(f"{figures.seed}/{number}/length").uniform(*ROUND_SECONDS)
        self._say(f"round {number}: {seconds:.0f} s of faults")
        round_ = epoch.round(number, seconds, base)
        self._note(await within(LONGEST_ROUND_SECONDS, f"the end of round {number}", round_))
        figures.kills = self._faults.kills
        figures.faults = Counter({kind.value: count for kind, count in self._faults.counts.items()})
        self._say(f"round {number} is over: {figures.as_json()}")
        self._say(f"in use: {await in_use(self._system)}")

    def _note(self, anomalies: list[Anomaly]) -> None:
        figures = self.figures
        for name, mib in self._memory.most_mib.items():
            figures.most_mib[name] = max(figures.most_mib.get(name, 0), mib)
        anomalies += self._memory.judge()
        for name, program in self._system.programs.items():
            anomalies += [Anomaly(Name.CRASHED, f"{name} ended: {code}") for code in program.unexpected_exits]
            figures.exits.update(f"{name} {code}" for code in program.exits)
            program.exits.clear()
        for anomaly in anomalies:
            self._say(f"ANOMALY {anomaly.name}: {anomaly.detail}")
            figures.anomalies.append((figures.rounds, anomaly))
