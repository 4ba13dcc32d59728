"""The API behind the nginx of `deploy/nginx.conf`: TLS, a path prefix, several API processes, streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from devstack import free_port
from tests.support.client import STATUS, Client, StartApi
from tests.support.deployment import wait_for
from tests.support.nginx import NGINX, Nginx, nginx
from tests.support.seeding import Job, Projection, numbered

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(not NGINX, reason="nginx is not installed"),
]

SECONDS = 10.0


@pytest.fixture
async def proxy(api: Client, tmp_path: Path) -> AsyncIterator[Nginx]:
    """The proxy before one API."""
    with nginx(tmp_path, [urlsplit(api.url).netloc]) as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that knows nothing of the API behind the proxy."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(SECONDS)) as session:
        yield session


async def test_pages_follow_one_another_behind_the_prefix(
    proxy: Nginx, session: aiohttp.ClientSession, projection: Projection
) -> None:
    """`Link` stays behind the prefix, so every job comes once; the entity tag answers a second question with 304."""
    await projection.put(numbered(25))
    url, found = f"{proxy.url}{STATUS}?owner=0x1111&limit=10", []
    while url:
        async with session.get(url, ssl=proxy.trust) as answer:
            assert answer.status == 200
            found += [job["jobId"] for job in await answer.json()]
            tag, asked = answer.headers["ETag"], url
            link = answer.links.get("next")
            url = urljoin(url, str(link["url"])) if link else ""
            assert not url or url.startswith(f"{proxy.url}{STATUS}?")
    assert len(found) == len(set(found)) == 25
    async with session.get(asked, ssl=proxy.trust, headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304


async def test_what_is_not_for_everybody_stays_in(
    proxy: Nginx, session: aiohttp.ClientSession, projection: Projection
) -> None:
    """Measurements are not shown outside, in no spelling, and the proxy's log names no job."""
    await projection.put([Job()])
    for path in ("/metrics", "//metrics", "/./metrics", "/%6detrics"):
        url = URL(proxy.url + path, encoded=True)
        async with session.get(url, ssl=proxy.trust) as answer:
            assert answer.status == 404, path
    async with session.get(f"{proxy.url}{STATUS}?owner=0x1111", ssl=proxy.trust) as answer:
        assert answer.status == 200
    wait_for(lambda: f"{STATUS} 200 " in proxy.log.read_text(), "nginx has its line, which comes after the answer")
    assert answer.headers["X-Request-Id"] in proxy.log.read_text()
    assert "0x1111" not in proxy.log.read_text()


async def test_an_api_that_is_away_is_not_noticed(
    start_api: StartApi, session: aiohttp.ClientSession, projection: Projection, tmp_path: Path
) -> None:
    """Of two APIs behind it one does not answer: every question has its answer all the same."""
    api = await start_api(projection.prefix)
    with nginx(tmp_path, [f"127.0.0.1:{free_port()}", urlsplit(api.url).netloc]) as proxy:
        for _ in range(20):
            async with session.get(f"{proxy.url}{STATUS}?owner=0x1111", ssl=proxy.trust) as answer:
                assert (answer.status, await answer.json()) == (200, [])


async def test_a_projection_that_is_not_ready_says_so_through_the_proxy(
    api: Client, start_api: StartApi, session: aiohttp.ClientSession, projection: Projection, tmp_path: Path
) -> None:
    """The API's own 503 comes through each time, with its reason: nginx does not take the APIs for dead."""
    other = await start_api(projection.prefix)
    await projection.begin({"job-events/0": 5})
    with nginx(tmp_path, [urlsplit(api.url).netloc, urlsplit(other.url).netloc]) as proxy:
        for _ in range(10):
            async with session.get(f"{proxy.url}{STATUS}?owner=0x1111", ssl=proxy.trust) as answer:
                assert answer.status == 503
                assert "rebuilding" in (await answer.json())["error"]
                assert "Retry-After" in answer.headers


async def test_a_stream_is_not_held_back(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """What a server writes arrives while its answer is not at its end."""
    has_arrived = asyncio.Event()

    async def drip(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await has_arrived.wait()
        await response.write(b"data: 2\n\n")
        return response

    runner = web.ServerRunner(web.Server(drip))
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    with ExitStack() as stack:
        proxy = stack.enter_context(nginx(tmp_path, [f"127.0.0.1:{port}"]))
        async with session.get(f"{proxy.url}{STATUS}/events", ssl=proxy.trust) as answer:
            assert await answer.content.readuntil(b"\n\n") == b"data: 1\n\n"
            has_arrived.set()
            assert await answer.content.read() == b"data: 2\n\n"
    await runner.cleanup()
