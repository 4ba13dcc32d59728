"""After the faults: wait until the system has recovered by itself, and see that it has let go of what it used."""

import asyncio
import contextlib
import re
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

import aiohttp
from redis.exceptions import RedisError

from tests.support.links import HOST
from tests.torture.judging.anomalies import Anomaly, Name
from tests.torture.judging.comparison import positions_of
from tests.torture.system.limits import HangingTransactionError
from tests.torture.system.log_reader import log_ends
from tests.torture.system.resources import Usage, excess, usage_of
from tests.torture.system.servers import client
from tests.torture.system.system import System

RECOVERY_LIMIT_SECONDS: Final = 30.0
OPEN_TRANSACTION_SECONDS: Final = 60.0
LETTING_GO_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.1
MORE_CONNECTIONS: Final = 8  # to Redis for each bucket, than at first: a pool keeps as many as were needed at once
_TASKS: Final = re.compile(r"^asyncio_tasks (\S+)$", re.MULTILINE)
_ASK: Final = aiohttp.ClientTimeout(total=2)


async def wait_until_settled(system: System) -> None:
    """Wait until no transaction is open any more: those that nobody ended are ended by Kafka.

    HangingTransactionError when it does not: killed again and again, it may not know of one any more.
    """
    deadline = time.monotonic() + OPEN_TRANSACTION_SECONDS
    while await _ends(system, committed=True) != await _ends(system, committed=False):
        if time.monotonic() > deadline:
            raise HangingTransactionError(f"transactions are open for more than {OPEN_TRANSACTION_SECONDS:.0f} s")
        await asyncio.sleep(POLL_SECONDS)


async def _ends(system: System, *, committed: bool) -> dict[int, int]:
    return await log_ends(system.bootstrap_servers, system.topic, system.partitions, committed=committed)


async def wait_until_calm(system: System, *, heartbeats: int = 1) -> tuple[float, list[Anomaly]]:
    """Wait until everything in the log is shown and everybody is ready; return how long it took, or what is stuck.

    So many heartbeats are seen meanwhile: a second one has been under way since.
    """
    began = time.monotonic()
    ends = await log_ends(system.bootstrap_servers, system.topic, system.partitions)
    hindrance: str | None = "not asked yet"
    seen: set[str] = set()
    async with aiohttp.ClientSession(timeout=_ASK) as session:
        while hindrance and time.monotonic() - began < RECOVERY_LIMIT_SECONDS:
            hindrance = await _hindrance(system, session, ends, seen)
            if not hindrance and len(seen) < heartbeats:
                hindrance = f"heartbeats {sorted(seen)}"
            await asyncio.sleep(POLL_SECONDS)
    seconds = time.monotonic() - began
    return seconds, [Anomaly(Name.STUCK, f"after {seconds:.0f} s of peace: {hindrance}")] if hindrance else []


class InUse(NamedTuple):
    """What each program that runs uses, and how many connections the primary Redis has."""

    programs: dict[str, Usage]
    redis_connections: int


async def in_use(system: System) -> InUse:
    """Return what is in use now."""
    async with aiohttp.ClientSession(timeout=_ASK) as session:
        programs = {name: used for name in system.programs if (used := await _usage(system, session, name))}
    async with client(system.redis.primary) as redis:
        return InUse(programs, int((await redis.info("clients"))["connected_clients"]))


async def _usage(system: System, session: aiohttp.ClientSession, name: str) -> Usage | None:
    """Return what a program uses; None when it does not run or answer."""
    pid = system.programs[name].pid
    if pid is None:
        return None
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
        async with session.get(f"http://{HOST}:{system.ports[name]}/metrics") as response:
            found = _TASKS.search(await response.text())
        return usage_of(pid, int(float(found[1]))) if found else None
    return None


async def check_usage(system: System, base: InUse, buckets: int) -> list[Anomaly]:
    """Return who does not let go, within a limit, of what it used beyond its base."""
    deadline = time.monotonic() + LETTING_GO_SECONDS
    while True:
        now = await in_use(system)
        leaks = [
            Anomaly(Name.LEAKED, f"{name}, life {system.programs[name].number}: {', '.join(beyond)}")
            for name, used in now.programs.items()
            if (beyond := excess(used, base.programs[name]))
        ]
        if now.redis_connections > base.redis_connections + MORE_CONNECTIONS * buckets:
            connections = f"{now.redis_connections} connections to Redis, {base.redis_connections} at first"
            leaks.append(Anomaly(Name.LEAKED, connections))
        if not leaks or time.monotonic() > deadline:
            return leaks
        await asyncio.sleep(POLL_SECONDS)


async def _hindrance(
    system: System, session: aiohttp.ClientSession, ends: Mapping[int, int], seen: set[str]
) -> str | None:
    """Return in words what is not well yet; note the heartbeat that is told."""
    try:
        positions = await positions_of(system.redis.primary, system.topic)
    except (RedisError, OSError) as error:
        return f"Redis: {error}"
    behind = {
        number: (positions.get(number, 0), end) for number, end in ends.items() if positions.get(number, 0) != end
    }
    faults = [f"positions and log ends {behind}"] if behind else []
    for name, port in system.ports.items():
        faults += await _unready(session, name, port)
    faults += await _unsure(session, system, seen)
    return "; ".join(faults) or None


async def _unsure(session: aiohttp.ClientSession, system: System, seen: set[str]) -> list[str]:
    """Return that the API does not know that it shows everything; the first heartbeat of a new owner tells it."""
    lag = "not answered"
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
        async with session.get(f"{system.api_address}/api/v1/operator/status?jobId=none") as response:
            lag = response.headers.get("Projection-Lag", f"not told with {response.status}")
            seen.add(response.headers.get("Projection-Heartbeat", "unknown"))
    return [] if lag == "0" else [f"Projection-Lag: {lag}"]


async def _unready(session: aiohttp.ClientSession, name: str, port: int) -> list[str]:
    text = "does not answer"
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
        async with session.get(f"http://{HOST}:{port}/readyz?verbose") as response:
            if response.status == 200:
                return []
            text = " ".join((await response.text()).split())
    return [f"{name}: {text}"]
