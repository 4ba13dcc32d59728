"""One API after the other is started anew behind nginx while clients ask, and nobody notices."""

import asyncio
import signal
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from devstack import free_port
from tests.support.api_process import Server, server
from tests.support.nginx import NGINX, nginx
from tests.support.waiting import until

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(not NGINX, reason="nginx is not installed"),
]

REQUESTS_PER_SECOND = 500
# A machine that is busy with other tests sends fewer; so many at least are under way all the time.
LEAST_PER_SECOND = 50
AT_ONCE = 64
# Longer than nginx leaves a server alone that failed.
DRAIN_SECONDS = "2.5"
SECONDS = 30
NO_LIMIT = {"rate=50r/s": "rate=100000r/s", "burst=100": "burst=100000"}
ANSWERED = "200"


async def ask(url: str, trust: ssl.SSLContext, counts: Counter[str]) -> None:
    """Ask so many times a second, each time on the next free connection, and count the answers until cancelled."""
    loop, connector = asyncio.get_running_loop(), aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(SECONDS)) as session:

        async def one() -> None:
            try:
                async with session.get(url, ssl=trust) as answer:
                    await answer.read()
                    counts[str(answer.status)] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                counts[repr(error)] += 1

        async with asyncio.TaskGroup() as asking:
            under_way: set[asyncio.Task[None]] = set()
            due = loop.time()
            while not counts["stop"]:
                if len(under_way) < AT_ONCE:
                    task = asking.create_task(one())
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                due = max(due + 1 / REQUESTS_PER_SECOND, loop.time() - 1)
                await asyncio.sleep(due - loop.time())


@asynccontextmanager
async def asked(url: str, trust: ssl.SSLContext, counts: Counter[str]) -> AsyncIterator[None]:
    """Have clients ask until the block ends; then all that was sent has its answer."""
    asking = asyncio.create_task(ask(url, trust, counts))
    try:
        yield
    finally:
        counts["stop"] = 1
        await asking
        del counts["stop"]


@pytest.mark.long(15)
async def test_a_restart_of_one_api_after_the_other_loses_no_request(redis_url: str, tmp_path: Path) -> None:
    """Two APIs are started anew in turn under 500 requests a second: every one of them is answered with 200."""
    counts: Counter[str] = Counter()
    ports = [str(free_port()) for _ in range(2)]
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:

        async def start(port: str, life: str) -> Server:
            directory = tmp_path / f"{port}-{life}"
            directory.mkdir()
            settings = {"API_PORT": port, "REDIS_URL": redis_url, "API_DRAIN_SECONDS": DRAIN_SECONDS}
            running = stack.enter_context(server(directory, **settings))
            await running.address()
            return running

        running = [await start(port, "first") for port in ports]
        proxy = stack.enter_context(nginx(tmp_path, [f"127.0.0.1:{port}" for port in ports], NO_LIMIT))
        began = loop.time()
        async with asked(f"{proxy.url}/livez", proxy.trust, counts):

            async def are_answered() -> bool:
                return counts[ANSWERED] > REQUESTS_PER_SECOND

            await until(are_answered, "they are answered")
            for number, port in enumerate(ports):
                running[number].process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(running[number].process.wait, SECONDS) == 0
                running[number] = await start(port, "second")
        took = loop.time() - began
    assert set(counts) == {ANSWERED}, counts
    assert counts[ANSWERED] > took * LEAST_PER_SECOND
