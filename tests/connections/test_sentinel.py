"""Redis behind Sentinel: the primary is found by its name, and found again after a failover."""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from projector.settings import ProjectorSettings
from projector.store.memory import require_primary
from service.errors import ServiceUnavailableError
from service.redis import REDIS_FAULTS, connect, read_hash
from service.settings import RedisSettings
from tests.support.deployment import wait_for
from tests.support.redis_process import RedisProcess
from tests.support.waiting import until

pytestmark = pytest.mark.server

NAME = "projection"


class SentinelProcess(RedisProcess):
    """A sentinel, whose vote alone decides."""

    def __init__(self, directory: Path, primary: int) -> None:
        super().__init__(directory)
        self._configuration = directory / "sentinel.conf"
        self._configuration.write_text(
            f"port {self.port}\ndir {directory}\nsentinel monitor {NAME} 127.0.0.1 {primary} 1\n"
            f"sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 2000\n"
        )

    def _arguments(self) -> list[str]:
        return [str(self._configuration), "--sentinel"]


class Watched:
    """A primary, its replica, and a sentinel that watches them and wants no other's vote."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        places = [directory / name for name in ("first", "second", "sentinel")]
        for place in places:
            place.mkdir()
        self.first, self.second = (stack.enter_context(RedisProcess(place)) for place in places[:2])
        with Redis(port=self.second.port, protocol=2) as replica:
            replica.replicaof("127.0.0.1", self.first.port)
        self.sentinel = stack.enter_context(SentinelProcess(places[2], self.first.port))
        self.url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{self.sentinel.port}/{NAME}/0"


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Servers of the test's own."""
    with ExitStack() as stack:
        yield Watched(tmp_path, stack)


@pytest.mark.long(10)
async def test_the_primary_is_found_again_after_a_failover(watched: Watched) -> None:
    """Behind Sentinel a client reads and writes at the primary, whichever it is, though a sentinel may be away."""
    client: Any = connect(RedisSettings.load({"REDIS_URL": watched.url}))
    await client.hset("test", "name", "value")
    with Redis(port=watched.second.port, protocol=2) as replica:
        wait_for(lambda: replica.hgetall("test"), "the replica has it")
    sentinel: Any
    with Redis(port=watched.sentinel.port, protocol=2) as sentinel:
        wait_for(lambda: sentinel.sentinel_slaves(NAME), "the sentinel knows the replica", 20)
    watched.first.kill()

    async def is_written() -> bool:
        with suppress(*REDIS_FAULTS):
            await client.hset("test", "name", "later")
            return True
        return False

    await until(is_written, "the new primary is found", 30)
    assert await read_hash(client, "test") == {b"name": b"later"}
    await client.aclose()


async def test_a_name_that_no_sentinel_knows(watched: Watched) -> None:
    """A primary that no sentinel knows is named, with what its sentinels said."""
    url = watched.url.replace(NAME, "other")
    settings = ProjectorSettings.load({"REDIS_URL": url, "START_TIMEOUT_SECONDS": "0.5"})
    client = connect(settings)
    with pytest.raises(ServiceUnavailableError, match=r"127.0.0.1:1,.*no sentinel names a primary: .*'other'"):
        await require_primary(client, settings)
    await client.aclose()
