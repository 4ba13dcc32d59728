"""The keys of a generation, in steps that keep Redis free for others."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, Final

from redis.asyncio.cluster import RedisCluster

from projector.store.calls import limited
from schemas.redis_layout import Pointer, bucket_prefix
from service.redis import AnyRedis

KEYS_PER_STEP: Final = 500
_SCAN_COUNT: Final = 1000
_SPECIAL = re.compile(r"([\\*?\[\]])")
# What a call needs to reach one server.
_Target = dict[str, Any]


async def keys_by_bucket(
    redis: AnyRedis, prefix: str, pointer: Pointer, name: str = ""
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Yield the keys of a generation whose name begins so, each time at most KEYS_PER_STEP of one bucket.

    What is there from the beginning to the end is among them; one may come twice. All keys that a server holds are
    looked at once, however many buckets there are; on a cluster only those servers are asked that own one. Each call
    to Redis looks at about a thousand keys and has a limit of its own, however few of them are ours. Raises
    StoreUnavailableError.
    """
    bases = {bucket: bucket_prefix(prefix, pointer.number, bucket) for bucket in range(pointer.buckets)}
    starts = {base.encode(): bucket for bucket, base in bases.items()}
    targets = [await _owner(redis, base) for base in bases.values()]
    pattern = f"{_literal(prefix)}:{{g{pointer.number}.b*}}:{_literal(name)}*"
    for target in [target for at, target in enumerate(targets) if target not in targets[:at]]:
        waiting: dict[int, list[bytes]] = defaultdict(list)
        async for found in _scan(redis, pattern, target):
            for key in found:
                start = key[: key.find(b"}:", len(prefix)) + 2]
                if start in starts and key.startswith(name.encode(), len(start)):
                    waiting[starts[start]].append(key)
            for bucket, keys in waiting.items():
                while len(keys) >= KEYS_PER_STEP:
                    yield bucket, keys[:KEYS_PER_STEP]
                    del keys[:KEYS_PER_STEP]
        for bucket, keys in waiting.items():
            if keys:
                yield bucket, keys


async def _scan(redis: AnyRedis, pattern: str, target: _Target) -> AsyncIterator[list[bytes]]:
    """Yield what each call finds."""
    cursor = 0
    while True:
        async with limited():
            answer: Any = await redis.scan(cursor, pattern, _SCAN_COUNT, **target)
        reached, found = answer
        cursor = next(iter(reached.values())) if target else reached  # a cluster's client tells it by node
        yield found
        if not cursor:
            return


async def _owner(redis: AnyRedis, base: str) -> _Target:
    """Return what a call needs to reach the server that holds a bucket."""
    if not isinstance(redis, RedisCluster):
        return {}
    async with limited():
        await redis.initialize()
    return {"target_nodes": redis.get_node_from_key(base)}


def _literal(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
