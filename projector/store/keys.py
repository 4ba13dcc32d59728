"""The keys of a generation, in steps that keep Redis free for others."""

import re
from collections.abc import AsyncIterator
from typing import Final

from projector.store.calls import limited
from schemas.redis_layout import bucket_prefix
from service.redis import AnyRedis

KEYS_PER_STEP: Final = 500
_SCAN_COUNT: Final = 1000
_SPECIAL = re.compile(r"([\\*?\[\]])")


async def keys_of(redis: AnyRedis, prefix: str, number: int, bucket: int, name: str = "") -> AsyncIterator[list[bytes]]:
    """Yield the keys of a bucket whose name begins so, at most KEYS_PER_STEP at a time; one may come twice.

    What is there from the beginning to the end is among them. Raises StoreUnavailableError.
    """
    pattern = _SPECIAL.sub(r"\\\1", bucket_prefix(prefix, number, bucket) + name) + "*"
    found = redis.scan_iter(match=pattern, count=_SCAN_COUNT)
    is_done = False
    while not is_done:
        keys: list[bytes] = []
        async with limited():
            while len(keys) < KEYS_PER_STEP:
                key = await anext(found, None)
                if key is None:
                    is_done = True
                    break
                keys.append(key)
        if keys:
            yield keys
