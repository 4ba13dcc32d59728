"""A real Redis, a projection of each test's own in it, and the real API on a free port."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from api import app
from api.projection import deadline, reader, store
from tests.support.client import Client, StartApi
from tests.support.redis_process import RedisProcess, client_of
from tests.support.seeding import Projection
from tests.support.starting import starting

PATIENCE_SECONDS = 10.0
LIMITS = (
    (app, "NODE_SECONDS"),
    (deadline, "ANSWER_SECONDS"),
    (reader, "CALL_TIMEOUT_SECONDS"),
    (reader, "LOOKUP_SECONDS"),
    (store, "CALL_TIMEOUT_SECONDS"),
)


@pytest.fixture(autouse=True)
def _patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API in this process waits long for a Redis that is late only since other tests run; alone it has its limits.

    What the limits are for is tested by those that run alone.
    """
    if not request.node.get_closest_marker("alone"):
        for module, name in LIMITS:
            monkeypatch.setattr(module, name, PATIENCE_SECONDS)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis for the whole run: the one of the environment, else one that is started."""
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    with RedisProcess(tmp_path_factory.mktemp("redis")) as process:
        yield process.url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisProcess]:
    """A Redis that the test may break."""
    with RedisProcess(tmp_path, "--enable-debug-command", "yes") as process:
        yield process


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Any]:
    """A client of the Redis for the whole run."""
    async with client_of(redis_url) as client:
        yield client


@pytest.fixture
async def projection(redis: Any) -> AsyncIterator[Projection]:
    """A projection of the test's own, begun and empty, on an empty log."""
    projection = Projection(redis, f"test-{secrets.token_hex(6)}")
    await projection.begin()
    yield projection
    await projection.delete()


@pytest.fixture
async def start_api(redis_url: str) -> AsyncIterator[StartApi]:
    """Start an API with these settings, in this process and on a free port; it ends with the test."""
    async with starting(redis_url) as start:
        yield start


@pytest.fixture
async def api(start_api: StartApi, projection: Projection) -> Client:
    """An API on the test's own projection, in mode open; `sesame-sesame-16` and another are admins' tokens."""
    return await start_api(projection.prefix, API_ADMIN_TOKENS="sesame-sesame-16,mellon-mellon-16")
