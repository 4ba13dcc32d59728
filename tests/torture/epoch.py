"""An epoch: some rounds on one topic and one prefix. A round is faults, then peace, then the comparison."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any, Final

import aiohttp

from tests.torture.clients.observation import Observation
from tests.torture.clients.readers import Readers, ask, query_of
from tests.torture.clients.slow_readers import SlowReaders
from tests.torture.clients.streamers import Streamers
from tests.torture.clients.traffic import Traffic
from tests.torture.clients.walks import Walkers
from tests.torture.faults.faults import Faults
from tests.torture.faults.schedule import Kind, Part, schedule
from tests.torture.judging.anomalies import Anomaly, Name
from tests.torture.judging.calm import InUse, check_usage, wait_until_calm, wait_until_settled
from tests.torture.judging.clock import Clock
from tests.torture.judging.comparison import Letter, compare_letters, compare_projection
from tests.torture.judging.figures import Figures
from tests.torture.judging.judge import Judge
from tests.torture.judging.truth import Truth, digest_of, rows_of, without_admin_fields
from tests.torture.judging.walks import WalkJudge
from tests.torture.system.limits import cancelled
from tests.torture.system.log_reader import log_ends, records
from tests.torture.system.system import System

SLOW_SECONDS: Final = 1.5
SAMPLED_JOBS: Final = 150
WARM_UP_SECONDS: Final = 4.0
# A process that ended by itself is found to have ended a moment later.
END_NOTICED_SECONDS: Final = 0.2
OK, UNAVAILABLE = 200, 503


class Epoch:
    """Rounds on one topic."""

    def __init__(
        self,
        system: System,
        *,
        traffic: Traffic,
        faults: Faults,
        clock: Clock,
        figures: Figures,
        say: Callable[[str], None],
        taking_part: frozenset[Kind | Part],
        streams: int,
        buckets: int = 1,
    ) -> None:
        self._system = system
        self._traffic = traffic
        self._faults = faults
        self._clock = clock
        self._figures = figures
        self._say = say
        self._taking_part = taking_part
        self._truth = Truth()
        self._buckets = buckets
        self._judge = Judge(self._truth, buckets, traffic.acknowledged)
        self._letters: list[Letter] = []
        self._letters_read: Mapping[int, int] = {}
        self._readers = Readers(system, traffic, figures.seed)
        self._slow_readers = SlowReaders(system, traffic)
        self._streamers = Streamers(system, traffic, figures.seed, streams)
        self._walkers = Walkers(system, traffic, figures.seed)
        self._walk_judge = WalkJudge(self._truth)

    async def warm_up(self) -> None:
        """Work in peace for a while; raises RuntimeError when even that fails."""
        await self._traffic.begin()
        async with working(self._readers.run()), working(self._traffic.run()):
            await asyncio.sleep(WARM_UP_SECONDS)
        await self._traffic.flush()
        _, stuck = await wait_until_calm(self._system)
        if stuck:
            raise RuntimeError(f"nothing was broken, and yet {stuck[0].detail}")
        if self._buckets > 1:
            await self._system.divide(self._buckets)

    async def round(self, number: int, seconds: float, base: InUse) -> list[Anomaly]:
        """Break things for so long, let them recover, and return what is wrong then or was meanwhile."""
        async with AsyncExitStack() as streaming:
            if Part.STREAMS in self._taking_part:
                await streaming.enter_async_context(working(self._streamers.run()))
            stuck = await self._break_and_heal(number, seconds)
            await self._read_log()
            streamed = [] if stuck else await self._streamers.judge(self._truth)
        self._figures.streams_opened += self._streamers.opened
        self._streamers.opened = 0
        anomalies = [*stuck, *streamed, *self._judge_observations()]
        self._say("the log is read, and all answers are judged")
        if not stuck:
            anomalies += await self._compare()
            self._say("the projection is compared")
            anomalies += await check_usage(self._system, base, self._buckets)
        return anomalies

    async def _break_and_heal(self, number: int, seconds: float) -> list[Anomaly]:
        """Break things for so long, and return what does not recover."""
        async with working(self._readers.run()):
            async with AsyncExitStack() as going_on:
                await going_on.enter_async_context(working(self._traffic.run()))
                if Part.WALKS in self._taking_part:
                    await going_on.enter_async_context(working(self._walkers.run()))
                if Part.SLOW_READERS in self._taking_part:
                    await going_on.enter_async_context(working(self._slow_readers.run()))
                await self._faults.run(schedule(self._figures.seed, number, seconds, self._taking_part))
                await self._system.heal()
            self._say("peace")
            await self._traffic.flush()
            await wait_until_settled(self._system)
            self._say("all that was sent is in the log")
            recovery_seconds, stuck = await wait_until_calm(self._system)
            self._say(f"calm after {recovery_seconds:.1f} s")
        figures = self._figures
        figures.slowest_recovery_seconds = max(figures.slowest_recovery_seconds, recovery_seconds)
        return stuck

    async def _read_log(self) -> None:
        servers, topic = self._system.bootstrap_servers, self._system.topic
        before = sum(self._truth.ends.values())
        ends = await log_ends(servers, topic, self._system.partitions)
        async for record in records(servers, topic, ends, self._truth.ends):
            self._truth.add(record)
        for partition, end in ends.items():
            self._truth.reach(partition, end, time.time())
        await self._read_letters(f"dlq.{topic}")
        self._figures.events += sum(self._truth.ends.values()) - before

    async def _read_letters(self, topic: str) -> None:
        ends = await log_ends(self._system.bootstrap_servers, topic, 1)
        async for letter in records(self._system.bootstrap_servers, topic, ends, self._letters_read):
            self._letters.append(Letter(letter.key, digest_of(letter.value), letter.headers))
            self._figures.dead_letters += 1
        self._letters_read = ends

    async def _compare(self) -> list[Anomaly]:
        topic = self._system.topic
        wrong = [
            *await compare_projection(self._system.redis.primary, topic, self._truth),
            *compare_letters(self._letters, topic, self._truth),
        ]
        # All links are this process's, which has computed for seconds: heartbeats have waited for it.
        _, stuck = await wait_until_calm(self._system, heartbeats=2)
        return [*wrong, *stuck, *await self._sample_answers()]

    async def _sample_answers(self) -> list[Anomaly]:
        """Ask for some jobs; now there is one right answer for each."""
        random = Random(self._figures.rounds)
        anomalies = []
        jobs = random.sample(self._traffic.older, min(SAMPLED_JOBS, len(self._traffic.older)))
        async with aiohttp.ClientSession(self._system.api_address) as session:
            for job in jobs:
                query = query_of(job, is_admin=random.random() < 0.5, is_whole=random.random() < 0.5)
                seen = await ask(session, self._system, query)
                rows = self._truth.versions(job.job_id)[-1].rows if job.job_id in self._truth.reports else []
                right = rows if query.is_admin else without_admin_fields(rows)
                if seen.status != OK or rows_of(seen.body) != right or seen.lag_events != 0:
                    anomalies.append(Anomaly(Name.WRONG_ANSWER, f"in peace: {seen}, right would be {right}"))
        return anomalies

    def _judge_observations(self) -> Iterator[Anomaly]:
        observations, self._readers.observations = self._readers.observations, []
        self._figures.count(observations)
        self._figures.slow_readers += self._slow_readers.asked
        self._slow_readers.asked = 0
        walks, self._walkers.walks = self._walkers.walks, []
        self._figures.walks.update(self._walkers.counts)
        self._walkers.counts.clear()
        yield from self._judge.judge(observations, self._faults.losses)
        yield from self._walk_judge.judge(walks)
        for seen in observations:
            if seen.status not in {0, OK, UNAVAILABLE}:
                yield Anomaly(Name.WRONG_ANSWER, f"{seen}")
            if self._system.api.was_up(seen.api_life, seen.started, seen.ended + END_NOTICED_SECONDS):
                yield from self._check_speed(seen)

    def _check_speed(self, seen: Observation) -> Iterator[Anomaly]:
        """Yield that a query had no answer in time though the API was there, and the machine not too busy."""
        seconds = seen.ended - seen.started
        if seen.status and seconds <= SLOW_SECONDS:
            self._figures.slowest_answer_seconds = max(self._figures.slowest_answer_seconds, seconds)
            return
        excused = self._clock.excused_seconds(seen.started, seen.ended)
        if not seen.status or seconds - excused > SLOW_SECONDS:
            yield Anomaly(
                Name.SLOW,
                f"{seen.query.parameters} at {seen.started:.3f}, life {seen.api_life} of the API: "
                f"{seen.status or seen.fault} after {seconds:.3f} s, of which the machine took {excused:.3f} s",
            )


@asynccontextmanager
async def working(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have something done until the block ends; raises what went wrong with it."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        wrong = await cancelled("what was going on", task)
        if isinstance(wrong, Exception):
            raise wrong
