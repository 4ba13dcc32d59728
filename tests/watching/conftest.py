"""The real API on seeded Redis, on a free port in this process."""

import secrets
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from api.app import running
from api.ending import Ending
from api.settings import ApiSettings
from api.web.server import address_of, listen
from tests.support.redis_process import client_of
from tests.support.seeding import Projection
from tests.support.services import Services

if TYPE_CHECKING:
    from tests.support.page import ToldProjection


@pytest.fixture
async def redis(services: Services) -> AsyncIterator[Any]:
    """A client of the shared Redis."""
    async with client_of(services.redis_url) as client:
        yield client


@pytest.fixture
async def projection(redis: Any) -> AsyncIterator["ToldProjection"]:
    """A projection of the test's own, begun and empty, on an empty log; streams are told what changes in it."""
    from tests.support.page import ToldProjection  # noqa: PLC0415 - it brings a browser's driver

    projection = ToldProjection(redis, f"test-{secrets.token_hex(6)}")
    await projection.begin()
    yield projection
    await projection.delete()


@pytest.fixture
async def api(services: Services, projection: Projection) -> AsyncIterator[str]:
    """Where an API on the test's own projection listens."""
    environment = {"REDIS_URL": services.redis_url, "REDIS_PREFIX": projection.prefix}
    listener = listen("127.0.0.1", 0)
    async with running(ApiSettings.load(environment), listener, Ending()):
        yield address_of(listener)
