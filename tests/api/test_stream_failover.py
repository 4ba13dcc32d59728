"""Redis fails over under open streams: a replica is promoted, which has all that was told, or lacks the last of it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.applying import Applying
from tests.support.client import Client, StartApi
from tests.support.event_source import event_source
from tests.support.links import HOST, Link
from tests.support.redis_process import RedisProcess, client_of
from tests.support.waiting import until

OWNER = "owner=0x1111"
PREFIX = "test"
SECONDS = 30


@pytest.fixture
def standby(tmp_path: Path) -> Iterator[RedisProcess]:
    """A Redis that will be a replica."""
    directory = tmp_path / "standby"
    directory.mkdir()
    with RedisProcess(directory, "--repl-diskless-sync-delay", "0") as process:
        yield process


@pytest.fixture
async def link(own_redis: RedisProcess) -> AsyncIterator[Link]:
    """The address by which the API knows Redis, as one that a failover moves."""
    link = Link("redis", own_redis.port)
    await link.start()
    yield link
    await link.stop()


@pytest.fixture
async def primary(own_redis: RedisProcess, standby: RedisProcess) -> AsyncIterator[Any]:
    """A client of the Redis that is read and written at first."""
    async with client_of(own_redis.url) as primary, client_of(standby.url) as replica:
        await replica.replicaof(HOST, str(own_redis.port))

        async def is_in_step() -> bool:
            return bool((await replica.info("replication"))["master_link_status"] == "up")

        await until(is_in_step, "the replica is in step", SECONDS)
        yield primary


@pytest.fixture
async def replica(primary: Any, standby: RedisProcess) -> AsyncIterator[Any]:
    """A client of its replica, in step."""
    assert await primary.ping()
    async with client_of(standby.url) as replica:
        yield replica


@pytest.fixture
async def applying(primary: Any) -> Applying:
    """What applies events to the projection."""
    applying = Applying(primary, PREFIX)
    await applying.open()
    await applying.report("running")
    return applying


async def promote(primary: Any, replica: Any) -> None:
    """Make the replica, once it has all that is acknowledged, a primary of its own."""
    assert await primary.wait(1, SECONDS * 1000) == 1
    await replica.replicaof("NO", "ONE")


async def api_behind(link: Link, start_api: StartApi) -> Client:
    """Return an API that reads whatever Redis the link leads to."""
    return await start_api(PREFIX, REDIS_URL=f"redis://{HOST}:{link.port}/0")


async def test_a_failover_that_loses_nothing_costs_nothing(
    start_api: StartApi, link: Link, applying: Applying, replica: Any, standby: RedisProcess
) -> None:
    """Whoever streams goes on at the new primary without a snapshot, and so does who comes again with an id."""
    api = await api_behind(link, start_api)
    async with event_source(api, OWNER) as source:
        await source.is_joined()
        await promote(applying.redis, replica)
        link.switch(standby.port)
        promoted = Applying(replica, PREFIX)
        await promoted.open()
        await promoted.report("uploading")
        await source.tells("3333", 4)
        assert source.told == ["snapshot", "status"]
    await promoted.report("finished")
    async with event_source(api, OWNER, Last_Event_ID=source.last_id or "") as again:
        await again.tells("3333", 5)
        assert again.told == ["status"]


async def test_a_promoted_replica_that_lacks_what_was_told_takes_nothing_back(
    start_api: StartApi, link: Link, applying: Applying, replica: Any, standby: RedisProcess
) -> None:
    """Streams are stale until the new primary is filled again, then begin again; nobody sees a job go back."""
    api = await api_behind(link, start_api)
    async with event_source(api, OWNER) as source:
        await source.is_joined()
        await promote(applying.redis, replica)
        await applying.report("uploading")
        await source.tells("3333", 4)
        lost_id = source.last_id or ""
        link.switch(standby.port)
        await source.has("stale")
        promoted = Applying(replica, PREFIX)
        await promoted.open()
        assert promoted.position < applying.position
        await promoted.report("uploading")
        await source.has("fresh")
        await promoted.report("finished")
        await source.tells("3333", 5)
        told = source.statuses_of("3333")
        assert told == sorted(told)
        assert {reset["reason"] for reset in source.named("reset")} <= {"set-back", "ahead", "trimmed"}
        assert source.named("reset")
    async with event_source(api, OWNER, Last_Event_ID=lost_id) as again:
        assert (await again.has("reset"))[0]["reason"] in {"ahead", "trimmed"}
        await again.tells("3333", 5)
