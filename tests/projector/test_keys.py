"""The keys of a generation among many that are not ours."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

import projector.store.calls
import projector.store.keys
from projector.errors import StoreUnavailableError
from projector.store.keys import KEYS_PER_STEP, keys_by_bucket
from schemas.redis_layout import FOLD_VERSION, JOB, Pointer, bucket_prefix

OTHERS = 5_000
ONE_BUCKET = Pointer(1, 1, FOLD_VERSION, "cluster", "t", ("",))


async def test_few_keys_among_many_are_no_long_call(redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is that of each call to Redis: how many keys of others lie between ours is no fault."""
    names = [f"{prefix}:other:{number}" for number in range(OTHERS)]
    for start in range(0, OTHERS, 10_000):
        await redis.mset(dict.fromkeys(names[start : start + 10_000], "x"))
    base = bucket_prefix(prefix, 1, 0) + JOB
    await redis.set(base + "m", "x")
    monkeypatch.setattr(projector.store.keys, "_SCAN_COUNT", 1)  # thousands of calls, which take longer than one may
    monkeypatch.setattr(projector.store.calls, "CALL_TIMEOUT_SECONDS", 0.25)
    assert [step async for step in keys_by_bucket(redis, prefix, ONE_BUCKET, JOB)] == [(0, [(base + "m").encode()])]


async def test_each_call_has_its_limit(redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that does not answer is told, instead of being waited for."""
    monkeypatch.setattr(projector.store.calls, "CALL_TIMEOUT_SECONDS", 0.25)

    async def silent(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(redis, "execute_command", silent)
    with pytest.raises(StoreUnavailableError):
        async with asyncio.timeout(10):
            await anext(keys_by_bucket(redis, prefix, ONE_BUCKET))


async def test_every_key_comes_in_steps(redis: Redis, prefix: str) -> None:
    """No step is larger than it may be, and none is empty."""
    base = bucket_prefix(prefix, 1, 0)
    names = {f"{base}{JOB}{number}".encode() for number in range(3 * KEYS_PER_STEP)}
    await redis.mset(dict.fromkeys(names, "x"))
    steps = [keys async for _, keys in keys_by_bucket(redis, prefix, ONE_BUCKET)]
    assert {key for keys in steps for key in keys} == names
    assert all(0 < len(keys) <= KEYS_PER_STEP for keys in steps)


async def test_all_buckets_are_walked_through_at_once(
    redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many buckets there are, every key that Redis holds is looked at once; each step is of one bucket."""
    buckets = 16
    pointer = Pointer(1, buckets, FOLD_VERSION, "cluster", "t", ("",) * buckets)
    bases = [bucket_prefix(prefix, 1, bucket) for bucket in range(buckets)]
    names = {f"{base}{JOB}{number}": bucket for bucket, base in enumerate(bases) for number in range(50)}
    names |= {f"{bases[3]}{JOB}more-{number}": 3 for number in range(2 * KEYS_PER_STEP)}
    others = [f"{bases[0]}owner:x", f"{bases[1]}owner:{{g1.b2}}:{JOB}1", f"{prefix}:{{g1.b99}}:{JOB}1"]
    await redis.mset(dict.fromkeys([*names, *others, *(f"{prefix}:{{g11.b{n}}}:{JOB}1" for n in range(9))], "x"))
    calls = 0
    scan: Any = redis.scan

    async def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return await scan(*arguments)

    monkeypatch.setattr(redis, "scan", counted)
    steps = [step async for step in keys_by_bucket(redis, prefix, pointer, JOB)]
    assert {key.decode(): bucket for bucket, keys in steps for key in keys} == names
    assert all(0 < len(keys) <= KEYS_PER_STEP for _, keys in steps)
    assert calls <= (await redis.dbsize()) / 1000 + 8
