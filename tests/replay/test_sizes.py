"""How large generations are is told quickly, however many keys there are."""

from typing import Any

import pytest
from redis.asyncio import Redis

from projector.replay.generations import size
from projector.replay.generations.size import KEYS_AT_ONCE, require_room, sizes_of
from schemas.redis_layout import FOLD_VERSION, Pointer
from service.errors import CommandError
from tests.support.seeding import FINISHED_JOB, Projection

JOBS = 3000


def pointer(number: int) -> Pointer:
    """A generation of this number."""
    return Pointer(number, 1, FOLD_VERSION, "cluster", "topic", ("first",))


async def measured_bytes(redis: Redis, prefix: str, number: int) -> int:
    """Return what all jobs and index entries of a generation take."""
    keys = [key async for key in redis.scan_iter(match=f"{prefix}:[{{]g{number}.*:*:*", count=10_000)]
    return sum([await redis.memory_usage(key, samples=0) or 0 for key in keys])


@pytest.fixture
async def two_generations(redis: Redis, prefix: str) -> None:
    """Two generations: one of many jobs of one owner, and one of a third as many."""
    for number, count in ((1, JOBS), (2, JOBS // 3)):
        projection = Projection(redis, prefix, generation=number)
        await projection.begin()
        await projection.put_many_alike(FINISHED_JOB, (f"job-{n}" for n in range(count)))


@pytest.mark.usefixtures("two_generations")
async def test_few_keys_are_counted(redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Redis holds few keys the number of jobs is exact, and their size is what Redis says of each key."""
    monkeypatch.setattr(size, "WALKED_KEYS", 10**9)
    sizes = await sizes_of(redis, prefix, [pointer(1), pointer(2), pointer(3)])
    assert [sizes[number].jobs for number in (1, 2, 3)] == [JOBS, JOBS // 3, 0]
    for number in (1, 2):
        assert sizes[number].bytes == pytest.approx(await measured_bytes(redis, prefix, number), rel=0.15)


@pytest.mark.usefixtures("two_generations")
async def test_many_keys_are_drawn(redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it holds many, a fixed number of calls tells about how many jobs there are, and what they take."""
    monkeypatch.setattr(size, "WALKED_KEYS", 0)
    calls = 0
    execute: Any = redis.execute_command

    async def counted(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        return await execute(*arguments, **options)

    monkeypatch.setattr(redis, "execute_command", counted)
    sizes = await sizes_of(redis, prefix, [pointer(1), pointer(2)])
    assert calls <= size.DRAWN_KEYS / KEYS_AT_ONCE + 2
    monkeypatch.undo()
    for number, count in ((1, JOBS), (2, JOBS // 3)):
        assert sizes[number].jobs == pytest.approx(count, rel=0.2)
        assert sizes[number].bytes == pytest.approx(await measured_bytes(redis, prefix, number), rel=0.35)


async def test_what_is_wanted_is_said(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no room is told how much there is, how much is missing, and which limit would do."""
    mebibyte = 2**20

    async def full(*_: object) -> dict[str, dict[str, int]]:
        return {"": {"used_memory": 95 * mebibyte, "maxmemory": 100 * mebibyte}}

    monkeypatch.setattr(size, "info_by_node", full)
    with pytest.raises(CommandError, match=r"95 MiB of 100 MiB are used, about 44 MiB more .* maxmemory to 155 MiB"):
        await require_room(redis, left_bytes=40 * mebibyte)
