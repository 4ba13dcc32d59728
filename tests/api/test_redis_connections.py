"""Connections to Redis: closed by the server, to one that knows no HELLO, and as a user who may only read."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import StartApi
from tests.support.links import Direction, Link
from tests.support.redis_process import RedisProcess, client_of
from tests.support.seeding import Job, Projection
from tests.support.waiting import until

pytestmark = pytest.mark.server

PREFIX = "test"
QUERY = "owner=0x1111"
ALIKE = 20
READS = ("cmdstat_hgetall", "cmdstat_evalsha_ro")


@pytest.fixture
def strict_redis(tmp_path: Path) -> Iterator[RedisProcess]:
    """A Redis that closes idle connections after a second, and knows neither HELLO nor EVAL_RO."""
    hidden = [word for name in ("HELLO", "EVAL_RO") for word in ("--rename-command", name, "")]
    with RedisProcess(tmp_path, "--timeout", "1", *hidden) as process:
        yield process


async def seeded(client: Any) -> None:
    """Write a projection with one job."""
    projection = Projection(client, PREFIX)
    await projection.begin()
    await projection.put([Job()])


async def others(client: Any) -> list[Any]:
    """Return the connections of the server but the one that asks."""
    own = await client.client_id()
    return [each for each in await client.client_list() if int(each["id"]) != own]


async def reads(client: Any) -> int:
    """Return how many reads the server has answered."""
    told = await client.info("commandstats")
    return sum(told[name]["calls"] for name in READS)


async def test_idle_connections_may_be_closed(start_api: StartApi, strict_redis: RedisProcess) -> None:
    """What was closed while it was idle, by a server that knows no HELLO, costs no reader anything, nor readiness."""
    url = f"{strict_redis.url}?protocol=2"
    async with client_of(url) as client:
        await seeded(client)
    api = await start_api(PREFIX, REDIS_URL=strict_redis.url)
    for target in (f"/api/v1/operator/status?{QUERY}", "/readyz", f"/api/v1/operator/status?{QUERY}"):
        assert (await api.get(target)).status == 200

        async def is_closed() -> bool:
            async with client_of(url) as client:
                return not await others(client)

        await until(is_closed, "the server has closed what is idle")


@pytest.mark.parametrize("protocol", ["", "?protocol=2", "?protocol=3"])
async def test_all_connections_may_be_killed(start_api: StartApi, own_redis: RedisProcess, protocol: str) -> None:
    """After CLIENT KILL everybody who asks gets an answer, by either version of the protocol."""
    async with client_of(own_redis.url) as client:
        await seeded(client)
        api = await start_api(PREFIX, REDIS_URL=own_redis.url + protocol)
        for _ in range(3):
            answers = await asyncio.gather(*(api.status(f"{QUERY}&x={number}") for number in range(ALIKE)))
            assert {answer.status for answer in answers} == {200}
            assert await client.client_kill_filter(skipme=True, _type="normal")


async def test_a_read_is_asked_again_on_another_connection(start_api: StartApi, own_redis: RedisProcess) -> None:
    """A connection that is cut after the question and before its answer costs nobody anything."""
    link = Link("redis", own_redis.port)
    await link.start()
    async with client_of(own_redis.url) as client:
        await seeded(client)
        api = await start_api(PREFIX, REDIS_URL=f"redis://127.0.0.1:{link.port}/0")
        assert len(await api.jobs(QUERY)) == 1
        before = await reads(client)
        link.stall(Direction.REPLIES)
        asked = asyncio.create_task(api.status(QUERY))

        async def is_on_its_way() -> bool:
            return await reads(client) > before

        await until(is_on_its_way, "the answer is on its way")
        link.close_all()
        link.heal()
        assert (await asked).status == 200
    await link.stop()


async def test_the_log_names_what_is_wrong_at_the_start(
    start_api: StartApi, own_redis: RedisProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """An API that cannot read Redis logs why and what to change, once at its start; who asks is told that it cannot."""
    url = own_redis.url.replace("redis://", "redis://eve:no@")
    api = await start_api(PREFIX, REDIS_URL=url)
    assert (await api.status(QUERY)).error == "The store cannot be read: it refuses access"

    said: list[str] = []

    async def is_said() -> bool:
        said.append("".join(capsys.readouterr()))
        return "correct user and password in REDIS_URL" in said[-1]

    await until(is_said, "the log names the cause")
    assert "Redis cannot be used at" in "".join(said)
