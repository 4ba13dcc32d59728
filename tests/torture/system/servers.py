"""Kafka and Redis as this run uses them: a broker with a listener for each link, and a primary with a replica."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis as RedisClient
from redis.exceptions import RedisError

from devstack import Kafka, Redis, free_port
from tests.support.links import HOST, Link

COMMAND_SECONDS: Final = 5.0
SYNCHRONISED_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05
AOF_SAMPLES: Final = 100  # of the last five seconds
LONGEST_LOSS_SECONDS: Final = 1.2  # appendfsync everysec


def broker(directory: Path, log_path: Path, links: Sequence[Link]) -> Kafka:
    """Return a broker with a direct listener, and for each link one that only leads clients to that link."""
    direct = {name: free_port() for name in ("CLIENTS", "BROKER", "CONTROLLER")}
    own = direct | {f"LINK{number}": free_port() for number in range(len(links))}
    advertised = own | {f"LINK{number}": link.port for number, link in enumerate(links)}
    for number, link in enumerate(links):
        link.switch(own[f"LINK{number}"])
    return Kafka(
        directory,
        port=own["CLIENTS"],
        log_path=log_path,
        settings={
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in own),
            "listeners": _listeners(own),
            "advertised.listeners": _listeners({name: advertised[name] for name in own if name != "CONTROLLER"}),
            # Transactions that nobody ends are ended soon after their time.
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
            "controller.quorum.voters": f"1@{HOST}:{own['CONTROLLER']}",
        },
    )


def _listeners(ports: dict[str, int]) -> str:
    return ",".join(f"{name}://{HOST}:{port}" for name, port in ports.items())


class RedisPair:
    """A primary behind links, and a replica that may take its place.

    Whoever calls sees to it that one thing happens at a time.
    """

    def __init__(self, directory: Path, logs: Path, links: Sequence[Link], replication: Link) -> None:
        settings = {"repl-diskless-sync-delay": "0", "repl-timeout": "10"}
        self.primary, self.replica = (
            Redis(directory / name, port=free_port(), settings=settings, log_path=logs / f"{name}.log")
            for name in ("redis-a", "redis-b")
        )
        self._links = links
        self._replication = replication
        self._aof_sizes: deque[tuple[float, Path, int]] = deque(maxlen=AOF_SAMPLES)

    async def start(self) -> None:
        """Start both."""
        for server in (self.primary, self.replica):
            await asyncio.to_thread(server.start)
        await self._take_roles()

    def stop(self) -> None:
        """End both."""
        for server in (self.primary, self.replica):
            server.stop()

    async def flush(self) -> None:
        """Delete every key."""
        await self.command("FLUSHALL")

    async def kill(self, away_seconds: float, lost_seconds: float = 0.0) -> None:
        """End the primary with SIGKILL and start it again, without what it wrote in its last moments.

        The kernel keeps what a killed process has written, so to lose it as a machine would the file is cut.
        """
        await asyncio.to_thread(self.primary.kill)
        if lost_seconds:
            self._cut_aof(lost_seconds)
        await asyncio.sleep(away_seconds)
        await asyncio.to_thread(self.primary.start)
        await self._follow(self.replica, self._replication.port)  # it may have been away too

    async def fail_over(self, double_life_seconds: float) -> bool:
        """Make the replica the primary while the old one still takes writes for a while, which then are lost.

        Returns False, and does nothing, when the replica is not in step.
        """
        if not await self._is_in_step():
            return False
        await self._follow(self.replica, None)
        await asyncio.sleep(double_life_seconds)
        self.primary, self.replica = self.replica, self.primary
        await self._take_roles()
        return True

    async def command(self, *words: str) -> Any:
        """Ask the primary."""
        async with client(self.primary) as redis:
            return await redis.execute_command(*words)  # type: ignore[no-untyped-call]

    async def watch_aof(self) -> None:
        """Remember how the primary's append-only file grows, for ever."""
        while True:
            files = list((self.primary.directory / "data").glob("appendonlydir/*.incr.aof"))
            with contextlib.suppress(OSError, ValueError):
                newest = max(files, key=lambda file: file.stat().st_mtime)
                self._aof_sizes.append((time.monotonic(), newest, newest.stat().st_size))
            await asyncio.sleep(POLL_SECONDS)

    def _cut_aof(self, lost_seconds: float) -> None:
        """Cut the file to what it held so long ago."""
        if not self._aof_sizes:
            return
        last, path, _ = self._aof_sizes[-1]
        sizes = [size for at, file, size in self._aof_sizes if file == path and at >= last - lost_seconds]
        with path.open("r+b") as file:
            file.truncate(min(sizes[0], path.stat().st_size))

    async def _take_roles(self) -> None:
        for link in self._links:
            link.switch(self.primary.port)
        self._replication.switch(self.primary.port)
        await self._follow(self.primary, None)
        await self._follow(self.replica, self._replication.port)

    async def _follow(self, server: Redis, port: int | None) -> None:
        """Make a server a replica of what answers at that port, or of nobody."""
        async with client(server) as redis:
            await redis.execute_command("REPLICAOF", *((HOST, port) if port else ("NO", "ONE")))  # type: ignore[no-untyped-call]

    async def _is_in_step(self) -> bool:
        deadline = time.monotonic() + SYNCHRONISED_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(RedisError, OSError):
                async with client(self.replica) as redis:
                    if (await redis.info("replication")).get("master_link_status") == "up":
                        return True
            await asyncio.sleep(POLL_SECONDS)
        return False


@asynccontextmanager
async def client(server: Redis) -> AsyncIterator[RedisClient]:
    """Yield a direct connection to a server."""
    redis = RedisClient(host=HOST, port=server.port, socket_timeout=COMMAND_SECONDS)
    try:
        yield redis
    finally:
        await redis.aclose()
