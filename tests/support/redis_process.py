"""A Redis of a test's own, and clients of any Redis."""

import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from redis import Redis as SyncRedis
from redis.asyncio import Redis
from redis.exceptions import RedisError

from devstack import free_port

START_SECONDS = 10.0
_POLL_SECONDS = 0.01


class RedisProcess:
    """A Redis of a test's own, which may be stopped, killed and started again."""

    def __init__(self, directory: Path, *options: str, binary: str | None = None) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._options = options
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and return when it answers."""
        server = self._binary or shutil.which("redis-server") or shutil.which("valkey-server") or "redis-server"
        self._process = subprocess.Popen([server, *self._arguments()], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        with SyncRedis(port=self.port, protocol=2) as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                except RedisError:
                    time.sleep(_POLL_SECONDS)
                else:
                    return
        raise AssertionError("redis-server does not answer")

    def _arguments(self) -> list[str]:
        return ["--port", str(self.port), "--save", "", "--dir", str(self._directory), *self._options]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[Any]:
    """Yield a client of a Redis."""
    client = Redis.from_url(url)
    try:
        yield client
    finally:
        await client.aclose()
