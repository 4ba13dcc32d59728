"""A real Redis, a projection of each test's own in it, and the real API on a free port."""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.app import running
from api.settings import ApiSettings
from api.web.server import address_of, listen
from devstack import free_port
from tests.support.client import Client
from tests.support.seeding import Projection

WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.01
StartApi = Callable[..., Awaitable[Client]]


async def until(condition: Callable[[], Awaitable[Any]], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Return the condition's first true value; AssertionError when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := await condition():
            return value
        await asyncio.sleep(_POLL_SECONDS)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


class RedisProcess:
    """A Redis of a test's own, which may be stopped, killed and started again."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and return when it answers."""
        server = shutil.which("redis-server") or shutil.which("valkey-server") or "redis-server"
        command = [server, "--port", str(self.port), "--save", "", "--dir", str(self._directory), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + WAIT_SECONDS
        with SyncRedis(port=self.port) as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                except RedisError:
                    time.sleep(_POLL_SECONDS)
                else:
                    return
        raise AssertionError("redis-server does not answer")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()


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


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[Any]:
    """Yield a client of a Redis."""
    client = Redis.from_url(url)
    try:
        yield client
    finally:
        await client.aclose()


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
    async with AsyncExitStack() as stack:

        async def start(prefix: str, **settings: str) -> Client:
            environment = {"REDIS_URL": redis_url, "REDIS_PREFIX": prefix} | settings
            listener = listen("127.0.0.1", 0)
            await stack.enter_async_context(running(ApiSettings.load(environment), listener))
            return await stack.enter_async_context(Client(address_of(listener)))

        yield start


@pytest.fixture
async def api(start_api: StartApi, projection: Projection) -> Client:
    """An API on the test's own projection, in mode open; `sesame` and `mellon` are admins' tokens."""
    return await start_api(projection.prefix, API_ADMIN_TOKENS="sesame,mellon")
