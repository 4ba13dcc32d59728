"""One browser for all tests of the page, and a page that fails its test when anything goes wrong in it.

The browser's driver takes longer to start than most tests: it is started once, and whatever is awaited here is so in
the event loop in which the driver was, which is that of the session.
"""

import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from tests.support.client import Client, StartApi
from tests.support.page import Heartbeat, ToldProjection, chromium, closed, connected, opened
from tests.support.redis_process import client_of
from tests.support.seeding import Projection
from tests.support.starting import starting

# The jobs of tests began in 2020.
PATIENT = "started=3650d,configuring=3650d,running=3650d,uploading=3650d,silent=3650d,job=3650d"


@pytest.fixture(scope="session")
def browser_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a headless browser is told what to do, the same for all tests here."""
    with chromium(tmp_path_factory.mktemp("profile")) as address:
        yield address


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(browser_address: str) -> AsyncIterator[Browser]:
    """The browser; what it remembers is of a context, which each test has for itself."""
    async with connected(browser_address) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def redis(redis_url: str) -> AsyncIterator[Any]:
    """A client of the Redis for the whole run."""
    async with client_of(redis_url) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def start_api(redis_url: str) -> AsyncIterator[StartApi]:
    """Start an API with these settings, in this process and on a free port; it ends with the test."""
    async with starting(redis_url) as start:
        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser's window of the test's own."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    yield context
    await closed(context)


@pytest_asyncio.fixture(loop_scope="session")
async def projection(redis: Any) -> AsyncIterator[ToldProjection]:
    """A projection of the test's own, begun and empty, whose changes are told."""
    projection = ToldProjection(redis, f"test-{secrets.token_hex(6)}")
    await projection.begin()
    yield projection
    await projection.delete()


@pytest_asyncio.fixture(loop_scope="session")
async def api(start_api: StartApi, projection: Projection) -> Client:
    """An API on the test's own projection, by whose limits no job is late; `sesame-sesame-16` is an admin's token."""
    return await start_api(projection.prefix, API_ADMIN_TOKENS="sesame-sesame-16", STAGE_LIMITS=PATIENT)


@pytest_asyncio.fixture(loop_scope="session")
async def heartbeat(projection: Projection) -> AsyncIterator[Heartbeat]:
    """A projector's confirmation, each second."""
    heartbeat = Heartbeat(projection)
    yield heartbeat
    await heartbeat.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext, api: Client, heartbeat: Heartbeat) -> AsyncIterator[Page]:
    """The page, freshly opened, of a projection that is confirmed."""
    del heartbeat
    async with opened(context, api.url) as page:
        yield page
