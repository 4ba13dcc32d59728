"""Where it is measured: sizes, servers, and the machine."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from redis import Redis

from tests.bench.figures import Figures
from tests.bench.hostile_clients import Hostility
from tests.support.redis_process import RedisProcess
from tests.support.services import Services

AOF: Final = {"off": (), "on": ("--appendonly", "yes")}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured, how often."""

    rounds: int = 5
    # Of the log that is folded, each of five events.
    jobs: int = 60_000
    # How long one sample takes that is a rate or a percentile.
    seconds: float = 3.0
    # Jobs of the long list, and as many others in lists of 20.
    listed: int = 10_000
    # Events per second at which publish-to-visible is measured.
    loads: tuple[int, ...] = (200, 1000, 2000, 4000)
    # Jobs alive when the cost of an event is measured.
    alive: tuple[int, ...] = (10_000, 50_000, 150_000)
    streams: tuple[int, ...] = (1000, 5000)
    hostility: Hostility = Hostility(seconds=10)  # noqa: RUF009 - it cannot be changed


SMALL: Final = Sizes(
    rounds=1,
    jobs=400,
    seconds=0.3,
    listed=400,
    loads=(200, 2000),
    alive=(100, 1_000),
    streams=(100, 500),
    hostility=Hostility(readers=20, searches=5, pages=1, listed=3000, huge_jobs=20, seconds=1),
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """The servers and the sizes, and where the figures go."""

    services: Services
    directory: Path
    sizes: Sizes
    figures: Figures

    def room(self, name: str) -> Path:
        """Return a folder of its own."""
        directory = self.directory / name
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    @contextmanager
    def redis(self, name: str, aof: str = "off") -> Iterator[Services]:
        """Yield the same Kafka with an empty Redis that has its defaults, but for the append-only file."""
        with RedisProcess(self.room(name), *AOF[aof]) as redis:
            yield replace(self.services, redis_url=redis.url)


def server_of(url: str) -> str:
    """Return name and version of a Redis or Valkey."""
    with Redis.from_url(url) as redis:
        info = redis.info("server")
    name = info.get("server_name", "redis")
    return f"{name}-server {info[f'{name}_version']}"


def used_seconds(pid: int) -> float:
    """Return how much processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_kib(pid: int) -> int:
    """Return the most memory that a process has taken; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def redis_seconds(redis: Redis) -> float:
    """Return how much processor time a Redis has used."""
    info = redis.info("cpu")
    return float(info["used_cpu_user"] + info["used_cpu_sys"])


def machine(redis: str) -> str:
    """Return what it is measured on, and what else the machine did when that began."""
    load, cores = os.getloadavg()[0], os.cpu_count()
    python = f"Python {platform.python_version()}"
    return f"{cores} cores ({platform.machine()}) with a load of {load:.1f} when it began, {python}, {redis}"
