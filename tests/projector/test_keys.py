"""The keys of a generation among many that are not ours."""

import asyncio

import pytest
from redis.asyncio import Redis

import projector.store.calls
import projector.store.keys
from projector.errors import StoreUnavailableError
from projector.store.keys import KEYS_PER_STEP, keys_of
from schemas.redis_layout import JOB, bucket_prefix

OTHERS = 5_000


async def test_few_keys_among_many_are_no_long_call(redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is that of each call to Redis: how many keys of others lie between ours is no fault."""
    names = [f"{prefix}:other:{number}" for number in range(OTHERS)]
    for start in range(0, OTHERS, 10_000):
        await redis.mset(dict.fromkeys(names[start : start + 10_000], "x"))
    base = bucket_prefix(prefix, 1, 0) + JOB
    await redis.set(base + "m", "x")
    monkeypatch.setattr(projector.store.keys, "_SCAN_COUNT", 1)  # thousands of calls, which take longer than one may
    monkeypatch.setattr(projector.store.calls, "CALL_TIMEOUT_SECONDS", 0.25)
    assert [keys async for keys in keys_of(redis, prefix, 1, 0, JOB)] == [[(base + "m").encode()]]


async def test_each_call_has_its_limit(redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that does not answer is told, instead of being waited for."""
    monkeypatch.setattr(projector.store.calls, "CALL_TIMEOUT_SECONDS", 0.25)

    async def silent(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(redis, "execute_command", silent)
    with pytest.raises(StoreUnavailableError):
        async with asyncio.timeout(10):
            await anext(keys_of(redis, prefix, 1, 0))


async def test_every_key_comes_in_steps(redis: Redis, prefix: str) -> None:
    """No step is larger than it may be, and none is empty."""
    base = bucket_prefix(prefix, 1, 0)
    names = {f"{base}{JOB}{number}".encode() for number in range(3 * KEYS_PER_STEP)}
    await redis.mset(dict.fromkeys(names, "x"))
    steps = [keys async for keys in keys_of(redis, prefix, 1, 0)]
    assert {key for keys in steps for key in keys} == names
    assert all(0 < len(keys) <= KEYS_PER_STEP for keys in steps)
