"""One browser for all tests of the page, and a page that fails its test when anything goes wrong in it."""

import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.support.client import Client, StartApi
from tests.support.page import Heartbeat, ToldProjection, chromium, connected, opened
from tests.support.seeding import Projection

# The jobs of tests began in 2020.
PATIENT = "started=3650d,configuring=3650d,running=3650d,uploading=3650d,silent=3650d,job=3650d"


@pytest.fixture(scope="session")
def browser_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a headless browser is told what to do, the same for all tests here."""
    with chromium(tmp_path_factory.mktemp("profile")) as address:
        yield address


@pytest.fixture
async def browser(browser_address: str) -> AsyncIterator[Browser]:
    """The browser, with nothing remembered."""
    async with connected(browser_address) as browser:
        yield browser


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser's window of the test's own."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    yield context
    await context.close()


@pytest.fixture
async def projection(redis: Any) -> AsyncIterator[ToldProjection]:
    """A projection of the test's own, begun and empty, whose changes are told."""
    projection = ToldProjection(redis, f"test-{secrets.token_hex(6)}")
    await projection.begin()
    yield projection
    await projection.delete()


@pytest.fixture
async def api(start_api: StartApi, projection: Projection) -> Client:
    """An API on the test's own projection, by whose limits no job is late; `sesame-sesame-16` is an admin's token."""
    return await start_api(projection.prefix, API_ADMIN_TOKENS="sesame-sesame-16", STAGE_LIMITS=PATIENT)


@pytest.fixture
async def heartbeat(projection: Projection) -> AsyncIterator[Heartbeat]:
    """A projector's confirmation, each second."""
    heartbeat = Heartbeat(projection)
    yield heartbeat
    await heartbeat.stop()


@pytest.fixture
async def page(context: BrowserContext, api: Client, heartbeat: Heartbeat) -> AsyncIterator[Page]:
    """The page, freshly opened, of a projection that is confirmed."""
    del heartbeat
    async with opened(context, api.url) as page:
        yield page
