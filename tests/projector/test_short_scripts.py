"""Scripts keep Redis from others for some milliseconds at most, whatever the records that they are about: measured."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, cast

import pytest
from redis.asyncio import Redis

from devstack import Redis as RedisServer
from projector.errors import BatchTooLargeError
from projector.expiry.walk import Mode, OldJobs, Step
from projector.fold.batch import MAX_STEP_JOBS
from projector.fold.batches import Stretch, batches
from projector.store.live import Live
from schemas.job_hash import MOST_CUT_BYTES, PIECE_BYTES
from tests.support.events import event, record
from tests.support.opening import LOG, known

# A plain script that sets 10,000 fields, some 20 milliseconds: the measure, for what slows Redis slows both.
PLAIN: Final = "for n = 1, 10000 do redis.call('HSET', 'plain:' .. n % 100, 'field' .. n, n) end"
ROUNDS: Final = 4
LARGE: Final = 16
EVERYTHING: Final = "9999-01-01T00:00:00.000000"  # later than every time

pytestmark = pytest.mark.server

Event = dict[str, Any]


class Scene:
    """A projection on a Redis of the test's own."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.live = Live(redis, "short", LOG)
        self.position = 0

    async def apply(self, events: list[Event]) -> None:
        """Fold and apply these events as the projector does."""
        start, self.position = self.position, self.position + len(events)
        records = [record(offset, item) for offset, item in enumerate(events, start)]
        for batch in batches([Stretch("t/0", start, self.position, (start,), records)]):
            if batch:
                batch.spans[0].stored = (batch.spans[0].start,)
                await self.live.apply(batch)

    async def milliseconds(self, work: Awaitable[object]) -> float:
        """Return how much time of its processor Redis took for each script of this work, on the average."""
        before = await self._used_seconds(), await self._scripts()
        await work
        seconds, scripts = await self._used_seconds() - before[0], await self._scripts() - before[1]
        return seconds * 1000 / scripts

    async def share_of_plain(self, work: Awaitable[object]) -> float:
        """Return how much time each script of this work took, in times that of the plain one, just before and after.

        For what slows the machine comes and goes.
        """
        before = await self.milliseconds(self._plain())
        taken = await self.milliseconds(work)
        return taken / max(before, await self.milliseconds(self._plain()))

    async def _plain(self) -> None:
        await self.redis.delete(*(f"plain:{number}" for number in range(100)))
        await cast("Any", self.redis.eval(PLAIN, 0))

    async def _used_seconds(self) -> float:
        used: Any = await self.redis.info("cpu")
        return float(used["used_cpu_user_main_thread"] + used["used_cpu_sys_main_thread"])

    async def looks(self) -> dict[str, int]:
        """Return how often what may look at a job was called since the counts were set back."""
        calls: Any = await self.redis.info("commandstats")
        names = ("hmget", "hgetall", "hget", "hexists", "type", "zscore")
        return {name: calls.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names}

    async def _scripts(self) -> int:
        calls: Any = await self.redis.info("commandstats")
        return sum(int(calls[name]["calls"]) for name in ("cmdstat_evalsha", "cmdstat_eval") if name in calls)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """An open projection."""
    with RedisServer(tmp_path / "redis") as server:
        redis = Redis.from_url(server.url)
        scene = Scene(redis)
        await scene.live.open(known({"t/0": 0}))
        yield scene
        await redis.aclose()


def many(number: int) -> list[Event]:
    """Return reports of several batches, each of another job with all its fields."""
    url = "http://example.net/log"
    urls: Event = {"configlogURL": url, "publishlogURL": url, "algologURL": url, "outputsURL": [url]}
    count = 4 * MAX_STEP_JOBS
    return [
        event("finished", job=f"{number}-{job}", owner=f"0x{job:x}", message="m" * 100, **urls) for job in range(count)
    ]


def large(number: int) -> list[Event]:
    """Return reports of a few jobs whose outputs are as large as a record may be, and differ late from those before."""
    outputs = ["http://e/" + "u" * 2000] * 120 + [f"http://e/{number}"]
    return [event("finished", job=f"large-{job}", outputsURL=outputs) for job in range(LARGE)]


@pytest.mark.parametrize("reports", [many, large])
async def test_joining_a_batch_in_is_short(scene: Scene, reports: Callable[[int], list[Event]]) -> None:
    """However many or large the records that a poll brings, no script that joins them in takes long."""
    shares = [await scene.share_of_plain(scene.apply(reports(number))) for number in range(ROUNDS)]
    assert min(shares[1:]) < 1, shares


@pytest.mark.parametrize(("again", "more"), [("2020-10-01T01:00:00Z", 0), ("2020-10-01T02:00:00Z", LARGE)])
async def test_a_repeated_stage_costs_one_look_at_its_job(scene: Scene, again: str, more: int) -> None:
    """What is known already is found out by one command for each job, and a sign of life takes another one."""
    first = "2020-10-01T01:00:00Z"
    await scene.apply([event("finished", job=f"job-{number}", time=first) for number in range(LARGE)])
    await scene.redis.config_resetstat()
    await scene.apply([event("finished", job=f"job-{number}", time=again) for number in range(LARGE)])
    # One of each for the bucket and its position.
    assert await scene.looks() == {"hmget": LARGE + 1, "hgetall": more, "hget": 1, "hexists": 0, "type": 0, "zscore": 0}


async def test_a_new_job_costs_one_look_at_it(scene: Scene) -> None:
    """A job that begins is not asked for its fields; each of its indexes is looked at, one that many share once."""
    await scene.redis.config_resetstat()
    await scene.apply([event("started", job=f"job-{number}") for number in range(LARGE)])
    indexes = LARGE + 2
    assert await scene.looks() == {"hmget": 1, "hgetall": 0, "hget": 1, "hexists": LARGE, "type": 0, "zscore": indexes}


@pytest.mark.parametrize("size", [1, 70, MOST_CUT_BYTES - 3])
@pytest.mark.parametrize(("first", "second"), [("running", "finished"), ("finished", "running")])
async def test_a_detail_of_another_stage_costs_one_look(scene: Scene, first: str, second: str, size: int) -> None:
    """Which stage's detail stays is told by its first piece, and of one that goes no piece is left."""
    texts = {"running": "r" * 500, "finished": "f" * size}
    message = {stage: [event(stage, job=f"job-{n}", message=texts[stage]) for n in range(LARGE)] for stage in texts}
    await scene.apply(message[first])
    await scene.redis.config_resetstat()
    await scene.apply(message[second])
    looks = await scene.looks()
    assert (looks["hmget"], looks["hgetall"]) == (LARGE + 1, 0)
    keys = await scene.redis.keys("short:*:job:*")
    assert len(keys) == LARGE
    whole = f"05={texts['finished']}".encode()
    for key in keys:
        stored: Any = await scene.redis.hgetall(key)
        pieces = [stored[name] for name in sorted(stored) if name.startswith(b"message")]
        assert pieces == [whole[at : at + PIECE_BYTES] for at in range(0, size + 4, PIECE_BYTES)]


async def test_what_jobs_hold_already_is_bounded_too(scene: Scene) -> None:
    """Small reports of many large jobs are not joined in in one step: nothing is written, and fewer at a time are."""
    jobs = 6 * LARGE
    for first in range(0, jobs, LARGE):
        await scene.apply([item | {"data": item["data"] | {"attempt": first + 1}} for item in large(0)])
    small = [
        event("finished", job=f"large-{n % LARGE}", attempt=n // LARGE * LARGE + 1, outputsURL=["http://z/"])
        for n in range(jobs)
    ]
    reached = scene.position
    with pytest.raises(BatchTooLargeError):
        await scene.apply(small)
    assert (await scene.live.generation.standings(["t/0"]))["t/0"].next == (reached,)
    scene.position = reached
    for first in range(0, jobs, 8):
        await scene.apply(small[first : first + 8])
    assert (await scene.live.generation.standings(["t/0"]))["t/0"].next == (reached + jobs,)


async def test_looking_for_old_jobs_is_short(scene: Scene) -> None:
    """However large the jobs are, no script that looks for old ones takes long, and none is left out."""
    jobs = 6 * LARGE
    await scene.apply([item | {"data": item["data"] | {"attempt": n + 1}} for n in range(6) for item in large(0)])
    shares = []
    for _ in range(ROUNDS):
        walk = OldJobs(scene.redis, "short", scene.live.generation.pointer)
        steps: list[Step] = []
        shares.append(await scene.share_of_plain(collect(walk, steps)))
        assert (sum(step.jobs for step in steps), sum(step.old for step in steps)) == (jobs, jobs)
    assert min(shares) < 1, shares


async def collect(walk: OldJobs, steps: list[Step]) -> None:
    """Take every step of a walk."""
    steps += [step async for step in walk.steps(EVERYTHING, Mode.COUNT) if step]
