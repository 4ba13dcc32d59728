"""Redis away, frozen, loading, busy, locked or full: an honest 503 in time, and answers again without a restart."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.exceptions import RedisError

from api.projection import live
from api.projection.store import CALL_TIMEOUT_SECONDS
from schemas.redis_layout import INCARNATION, META
from tests.support.client import STATUS, Answer, Client, StartApi
from tests.support.links import Link
from tests.support.redis_process import RedisProcess, client_of
from tests.support.seeding import Job, Projection
from tests.support.waiting import until
from tests.torture.system.resources import usage_of

pytestmark = pytest.mark.alone

PREFIX = "test"
QUERY = "owner=0x1111"
# The deadline is 0.8 s; the rest is for a busy machine.
IN_TIME_SECONDS = 1.5
LATEST_ANSWER_SECONDS = 1.1


@pytest.fixture
async def redis(own_redis: RedisProcess) -> AsyncIterator[Any]:
    """A client of the Redis that the test may break, which holds a projection with one job."""
    async with client_of(own_redis.url) as client:
        projection = Projection(client, PREFIX)
        await projection.begin()
        await projection.put([Job()])
        yield client


@pytest.fixture
async def api(start_api: StartApi, own_redis: RedisProcess, redis: Any) -> Client:
    """An API on it, which has answered already."""
    api = await start_api(PREFIX, REDIS_URL=own_redis.url)
    assert len(await api.jobs(QUERY)) == 1
    assert redis is not None
    return api


async def refusal(api: Client) -> str:
    """Return how the store is said to be unreadable, in time and for everybody who asks at once."""
    started = time.monotonic()
    answers = await asyncio.gather(*(api.status(QUERY) for _ in range(30)))
    assert time.monotonic() - started < IN_TIME_SECONDS
    assert {answer.status for answer in answers} == {503}
    assert all("Retry-After" in answer.headers for answer in answers)
    return answers[-1].error.removeprefix("The store cannot be read: ")


async def recovers(api: Client) -> None:
    """Return once the API answers again."""

    async def answers() -> bool:
        return (await api.status(QUERY)).status == 200

    await until(answers, "the API answers again")


async def test_redis_killed_and_started_again(api: Client, own_redis: RedisProcess) -> None:
    """With Redis dead answers are 503; started again empty, they say so, and with a projection there are answers."""
    own_redis.kill()
    assert await refusal(api) == "no connection"
    ready = await api.get("/readyz?verbose")
    assert ready.status == 503
    assert b"[-] redis: The store cannot be read: no connection" in ready.body
    assert (await api.get("/livez")).status == 200
    own_redis.start()
    assert (await api.status(QUERY)).error == "There is no projection yet: start the projector"
    async with client_of(own_redis.url) as client:
        projection = Projection(client, PREFIX)
        projection.incarnation = "second"
        await projection.begin()
        await projection.put([Job()])
    await recovers(api)


async def test_redis_frozen(api: Client, own_redis: RedisProcess) -> None:
    """With Redis frozen every answer is 503 in well under a second, again and again; thawed, it answers."""
    own_redis.signal(signal.SIGSTOP)
    for _ in range(4):
        assert await refusal(api) == "no answer in time"
    own_redis.signal(signal.SIGCONT)
    await recovers(api)


async def test_answers_that_come_too_late_are_nobodys(api: Client, own_redis: RedisProcess, redis: Any) -> None:
    """A reply that arrives after its call was given up is not taken for the reply to the next one."""
    await Projection(redis, PREFIX).put(Job("0x1", "0x2", f"job-{number}") for number in range(50))
    for turn in range(3):
        own_redis.signal(signal.SIGSTOP)
        assert {answer.status for answer in await ask_all(api, range(turn, 40))} == {503}
        own_redis.signal(signal.SIGCONT)
        await recovers(api)
        for number, answer in enumerate(await ask_all(api, range(50))):
            assert [job["jobId"] for job in answer.json()] == [f"job-{number}"]


async def ask_all(api: Client, numbers: range) -> list[Answer]:
    """Return the answers for these jobs, asked at once."""
    return await asyncio.gather(*(api.status(f"jobId=job-{number}") for number in numbers))


async def test_a_long_answer_waits_for_a_redis_that_pauses(api: Client, own_redis: RedisProcess, redis: Any) -> None:
    """Who has begun to read a long answer gets it whole, though Redis is away for a moment meanwhile."""
    await Projection(redis, PREFIX).put_many_alike(Job("0x1"), (f"job-{number}" for number in range(30_000)))
    async with api.session.get(f"{api.url}{STATUS}?owner=0x1", headers={"Accept-Encoding": "identity"}) as answer:
        body = await answer.content.readany()
        own_redis.signal(signal.SIGSTOP)
        await refusal(api)
        own_redis.signal(signal.SIGCONT)
        body += await answer.read()
    assert body.endswith(b"}]")
    assert body.count(b'"jobId"') == 30_000


async def test_redis_locked(api: Client, redis: Any) -> None:
    """With a password set, or no room for a connection, answers are 503 that say so; taken away, it answers."""
    await redis.config_set("requirepass", "x")
    await redis.client_kill_filter(skipme=True, _type="normal")
    assert await refusal(api) == "it refuses access"
    await redis.config_set("requirepass", "")
    await recovers(api)
    await redis.config_set("maxclients", 1)
    await redis.client_kill_filter(skipme=True, _type="normal")
    assert await refusal(api) == "no connection"
    await redis.config_set("maxclients", 1000)
    await recovers(api)


async def test_redis_busy(api: Client, own_redis: RedisProcess, redis: Any) -> None:
    """While another script runs too long answers are 503; once it was killed, it answers."""
    await redis.config_set("busy-reply-threshold", 50)
    async with client_of(own_redis.url) as other:
        running = asyncio.create_task(other.eval("while true do end", 0))

        async def is_busy() -> bool:
            return "error" in (await api.status(QUERY)).body.decode()

        await until(is_busy, "the script runs")
        assert await refusal(api) == "it reports an error"
        await redis.script_kill()
        with pytest.raises(RedisError):
            await running
    await recovers(api)


async def test_redis_full_or_without_its_disk_is_still_read(api: Client, redis: Any) -> None:
    """A Redis that takes no more writes is still read."""
    await redis.config_set("maxmemory", "1mb")
    with pytest.raises(RedisError, match="maxmemory"):
        await redis.set("x", "y")
    assert len(await api.jobs(QUERY)) == 1
    await redis.config_set("maxmemory", 0)
    await redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    assert len(await api.jobs(QUERY)) == 1


async def test_scripts_that_were_flushed_are_loaded_again(api: Client, redis: Any) -> None:
    """A Redis that forgot the script gets it again, and nobody notices."""
    await redis.script_flush()
    answers = await asyncio.gather(*(api.status(QUERY) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}


async def test_redis_loading(api: Client, redis: Any) -> None:
    """While Redis loads its data answers are 503; once it has, it answers."""
    await redis.mset({f"filler-{number}": "x" * 1100 for number in range(300)})
    await redis.config_set("rdbcompression", "no")
    await redis.save()
    await redis.config_set("key-load-delay", "3000")
    await redis.config_set("loading-process-events-interval-bytes", "1024")
    loading = asyncio.create_task(redis.execute_command("DEBUG", "RELOAD", "NOSAVE"))

    async def is_loading() -> bool:
        return "loading" in (await api.status(QUERY)).body.decode()

    await until(is_loading, "Redis loads")
    assert await refusal(api) == "it is loading its data"
    await loading
    await recovers(api)


@pytest.fixture
async def link(own_redis: RedisProcess) -> AsyncIterator[Link]:
    """A link to Redis that can be slowed down."""
    link = Link("redis", own_redis.port)
    await link.start()
    yield link
    await link.stop()


async def test_one_deadline_is_around_everything(
    start_api: StartApi, redis: Any, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that takes several calls, each of them slow and none of them too slow, is 503 in time."""
    monkeypatch.setattr(live, "POINTER_VALID_SECONDS", 0)
    api = await start_api(PREFIX, REDIS_URL=f"redis://127.0.0.1:{link.port}/0")
    assert len(await api.jobs(QUERY)) == 1
    # The pointer is read, then a bucket that is another one by now, then the pointer again.
    await redis.hset(Projection(redis, PREFIX).key(META), INCARNATION, "another")
    link.delay(0.9 * CALL_TIMEOUT_SECONDS / 2)
    started = time.monotonic()
    assert (await api.status(QUERY)).error == "The store cannot be read: no answer in time"
    assert time.monotonic() - started < LATEST_ANSWER_SECONDS
    link.heal()


async def test_requests_that_are_cancelled_disturb_nobody(start_api: StartApi, redis: Any, link: Link) -> None:
    """While 5,000 requests are cancelled at any moment, each of the others gets its own answer; nothing leaks."""
    api = await start_api(PREFIX, REDIS_URL=f"redis://127.0.0.1:{link.port}/0")
    link.delay(0.001)  # each way
    await Projection(redis, PREFIX).put(Job("0x1", "0x2", f"job-{number}") for number in range(300))

    async def ask(number: int) -> None:
        answer = await api.status(f"jobId=job-{number}")
        if answer.status == 200:  # a machine that is busy may be late
            assert [job["jobId"] for job in answer.json()] == [f"job-{number}"]
        else:
            assert answer.error.endswith("no answer in time")

    await asyncio.gather(*(ask(number) for number in range(200)))
    tasks, files = len(asyncio.all_tasks()), usage_of(os.getpid()).files
    cancelled_in_all = round_number = 0
    while cancelled_in_all < 5000:
        round_number += 1
        cancelled = [asyncio.create_task(ask(number)) for number in range(110)]
        kept = [asyncio.create_task(ask(number)) for number in range(150, 200)]
        for number, task in enumerate(cancelled):
            if number % 10 == round_number % 10:
                await asyncio.sleep(0.001)
            cancelled_in_all += task.cancel()
        await asyncio.gather(*kept)
        await asyncio.gather(*cancelled, return_exceptions=True)
    await recovers(api)
    assert [job["jobId"] for job in await api.jobs("jobId=job-299")] == ["job-299"]

    async def is_quiet() -> bool:
        return len(asyncio.all_tasks()) <= tasks + 20 and usage_of(os.getpid()).files <= files + 20

    await until(is_quiet, "tasks and sockets of requests are gone")
    assert int((await redis.info("clients"))["connected_clients"]) < 10


async def test_the_api_starts_without_redis(start_api: StartApi, own_redis: RedisProcess) -> None:
    """The API starts while Redis is away, says so, and answers as soon as it is there."""
    own_redis.kill()
    api = await start_api(PREFIX, REDIS_URL=own_redis.url)
    assert (await api.get("/livez")).status == 200
    assert await refusal(api) == "no connection"
    own_redis.start()
    async with client_of(own_redis.url) as client:
        await Projection(client, PREFIX).begin()
        await recovers(api)
