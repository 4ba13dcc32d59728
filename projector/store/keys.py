"""The keys of a generation, in steps that keep Redis free for others."""

import re
from collections.abc import AsyncIterator
from typing import Any, Final

from redis.asyncio.cluster import RedisCluster

from projector.store.calls import limited
from schemas.redis_layout import bucket_prefix
from service.redis import AnyRedis

KEYS_PER_STEP: Final = 500
_SCAN_COUNT: Final = 1000
_SPECIAL = re.compile(r"([\\*?\[\]])")


async def keys_of(redis: AnyRedis, prefix: str, number: int, bucket: int, name: str = "") -> AsyncIterator[list[bytes]]:
    """Yield the keys of a bucket whose name begins so, at most KEYS_PER_STEP at a time; one may come twice.

    What is there from the beginning to the end is among them. Each call to Redis looks at about a thousand keys and has
    a limit of its own, however few of them are ours; on a cluster only the owner of the bucket is asked. Raises
    StoreUnavailableError.
    """
    base = bucket_prefix(prefix, number, bucket)
    pattern = _SPECIAL.sub(r"\\\1", base + name) + "*"
    cursor = 0
    keys: list[bytes] = []
    owner: dict[str, Any] = {}
    if isinstance(redis, RedisCluster):
        async with limited():
            await redis.initialize()
        owner = {"target_nodes": redis.get_node_from_key(base)}
    while True:
        async with limited():
            answer: Any = await redis.scan(cursor, pattern, _SCAN_COUNT, **owner)
        reached, found = answer
        cursor = next(iter(reached.values())) if owner else reached  # a cluster's client tells it by node
        keys += found
        while len(keys) >= KEYS_PER_STEP or (keys and not cursor):
            yield keys[:KEYS_PER_STEP]
            keys = keys[KEYS_PER_STEP:]
        if not cursor:
            return
