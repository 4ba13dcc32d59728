"""Health over HTTP, as a load balancer and a person ask for it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry, Counter

from service.health import CHECK_TIMEOUT_SECONDS, Check, Remark, health_routes
from service.task_count import count_tasks

Ask = Callable[..., Awaitable[tuple[int, str, dict[str, str]]]]


def finding(fault: str | None) -> Check:
    """Return a check that finds this."""

    async def check() -> str | None:
        await asyncio.sleep(0)
        return fault

    return check


async def failing() -> str | None:
    """Fail as a check should not."""
    raise ConnectionError("connection\nreset")


async def hanging() -> str | None:
    """Never answer."""
    await asyncio.Event().wait()
    return None


@pytest.fixture
def ask() -> Ask:
    """Ask a real server with these checks for a path."""
    registry = CollectorRegistry()
    Counter("records", "Records.", registry=registry).inc(3)

    async def get(path: str, **checks: Check) -> tuple[int, str, dict[str, str]]:
        app = web.Application()
        app.add_routes(health_routes(checks, registry))
        async with (
            TestServer(app) as server,
            ClientSession() as session,
            session.get(server.make_url(path)) as response,
        ):
            return response.status, await response.text(), dict(response.headers)

    return get


async def test_alive_asks_nobody(ask: Ask) -> None:
    """A process that answers is alive, whatever it depends on."""
    assert (await ask("/livez", redis=failing, kafka=hanging))[:2] == (200, "ok\n")


async def test_ready_when_every_check_is_well(ask: Ask) -> None:
    """A process is ready when no check finds a fault; verbosely it has one line for each."""
    assert (await ask("/readyz", redis=finding(None), kafka=finding(None)))[:2] == (200, "ready\n")
    assert (await ask("/readyz?verbose", redis=finding(None), kafka=finding(None)))[:2] == (
        200,
        "[+] redis: ok\n[+] kafka: ok\nready\n",
    )


async def test_not_ready_says_why(ask: Ask) -> None:
    """A fault gives 503, says which check found it, and when it pays to ask again."""
    status, text, headers = await ask("/readyz", redis=finding("away"), kafka=finding(None))
    assert (status, text, headers["Retry-After"]) == (503, "[-] redis: away\nnot ready\n", "1")
    assert (await ask("/readyz?verbose", redis=finding("away"), kafka=finding(None)))[1] == (
        "[-] redis: away\n[+] kafka: ok\nnot ready\n"
    )


async def test_a_check_that_fails_or_hangs_does_not_hide_the_others(ask: Ask) -> None:
    """Whatever happens in a check, the answer comes in time, with one line for each check."""
    begin = asyncio.get_running_loop().time()
    status, text, _ = await ask("/readyz?verbose", redis=failing, kafka=hanging, disk=finding("full\n[+] forged: ok"))
    assert status == 503
    assert text.splitlines() == [
        "[-] redis: ConnectionError: connection reset",
        f"[-] kafka: no answer within {CHECK_TIMEOUT_SECONDS} s",
        "[-] disk: full [+] forged: ok",
        "not ready",
    ]
    assert asyncio.get_running_loop().time() - begin < 2 * CHECK_TIMEOUT_SECONDS


async def test_metrics_are_for_prometheus(ask: Ask) -> None:
    """The registry comes out in the format that Prometheus reads."""
    status, text, headers = await ask("/metrics")
    assert status == 200
    assert "records_total 3.0" in text.splitlines()
    assert headers["Content-Type"].startswith("text/plain; version=")


async def test_tasks_are_counted() -> None:
    """The tasks of the event loop are shown as they are at the moment."""
    registry = CollectorRegistry()
    count_tasks(registry)
    before = registry.get_sample_value("asyncio_tasks")
    tasks = [asyncio.create_task(hanging()) for _ in range(5)]
    assert before is not None
    assert registry.get_sample_value("asyncio_tasks") == before + 5
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert registry.get_sample_value("asyncio_tasks") == before


async def test_a_remark_is_no_fault(ask: Ask) -> None:
    """What is worth knowing though all is well stands among the verbose lines, and leaves the process ready."""
    status, text, _ = await ask("/readyz?verbose", log=finding(Remark("it waits\nfor somebody")), disk=finding(None))
    assert (status, text) == (200, "[!] log: it waits for somebody\n[+] disk: ok\nready\n")
    assert (await ask("/readyz", log=finding(Remark("it waits"))))[:2] == (200, "ready\n")
