"""The judge of a log made anew: nobody may say that nothing is missing, and nothing of it may be applied."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import aiohttp

from tests.torture.clients.observation import Observation
from tests.torture.clients.readers import PATIENCE_SECONDS, ask, query_of
from tests.torture.clients.traffic import Traffic
from tests.torture.faults.new_log import make_log_anew
from tests.torture.judging.anomalies import Anomaly, Name
from tests.torture.judging.comparison import positions_of
from tests.torture.judging.judge import STALE_SECONDS
from tests.torture.system.system import System

WATCHED_SECONDS: Final = 8.0  # once it should be known
PAUSE_SECONDS: Final = 0.2
OK: Final = 200


async def try_new_log(system: System, traffic: Traffic, seed: int) -> list[Anomaly]:
    """Make the log anew and return what is wrong with what is said and stored then; nothing follows on this topic."""
    before = await positions_of(system.redis.primary, system.topic)
    await make_log_anew(system, seed)
    made = time.time()
    seen: list[Observation] = []
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    async with aiohttp.ClientSession(system.api_address, timeout=timeout) as session:
        while time.time() < made + STALE_SECONDS + WATCHED_SECONDS:
            job = traffic.older[len(seen) % len(traffic.older)]
            seen.append(await ask(session, system, query_of(job, is_admin=False, is_whole=False)))
            await asyncio.sleep(PAUSE_SECONDS)
    after = await positions_of(system.redis.primary, system.topic)
    return list(judge_new_log(made, seen, before, after))


def judge_new_log(
    made: float, observations: Sequence[Observation], before: Mapping[int, int], after: Mapping[int, int]
) -> Iterator[Anomaly]:
    """Yield what is wrong with answers, and with positions before and after the log was made anew."""
    late = [seen for seen in observations if seen.started > made + STALE_SECONDS]
    sure = [seen for seen in late if seen.status == OK and seen.lag_events is not None]
    if sure:
        yield Anomaly(
            Name.FALSE_LAG,
            f"{sure[0].started - made:.1f} s after the log was made anew Projection-Lag is {sure[0].lag_events}, "
            f"in {len(sure)} of {len(late)} answers",
        )
    if moved := {number: (at, after.get(number)) for number, at in before.items() if after.get(number) != at}:
        yield Anomaly(Name.WRONG_PROJECTION, f"positions moved though the log is another one: {moved}")
    if not late:
        yield Anomaly(Name.STUCK, "nobody asked after the log was made anew")
