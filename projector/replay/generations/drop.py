"""Dropping a generation: its keys are deleted in small steps, after those who still read it have finished."""

import asyncio
from dataclasses import replace
from typing import Final

from projector.replay.generations.lease import leased
from projector.settings import ProjectorSettings
from projector.store.calls import limited
from projector.store.catalog import Catalog
from projector.store.keys import keys_of
from schemas.redis_layout import DROPPING, META, Pointer, bucket_prefix
from service.errors import CommandError
from service.redis import AnyRedis

# A list that was begun before the switch may be read for as long.
QUIET_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.002


async def drop_keys(redis: AnyRedis, prefix: str, pointer: Pointer) -> int:
    """Delete all keys of a generation, in steps that leave Redis time for others; return how many."""
    deleted = 0
    for bucket in range(pointer.buckets):
        async with limited():  # without its meta a bucket is not read any more, so nobody reads half of it
            deleted += await redis.unlink(bucket_prefix(prefix, pointer.number, bucket) + META)
        async for keys in keys_of(redis, prefix, pointer.number, bucket):
            async with limited():
                deleted += await redis.unlink(*keys)
            await asyncio.sleep(_PAUSE_SECONDS)
    return deleted


async def drop(redis: AnyRedis, settings: ProjectorSettings, number: int, quiet_seconds: float) -> int:
    """Drop a generation that is not live; return how many keys were deleted. Raises CommandError."""
    catalog = Catalog(redis, settings.redis_prefix)
    async with leased(catalog, f"generations drop {number}") as lease:
        state = await catalog.read()
        if state.live and state.live.number == number:
            raise CommandError(f"generation {number} is live: switch to another one before you drop it")
        kept = state.kept.get(number)
        if kept is None:
            raise CommandError(f"there is no generation {number}: {sorted(state.kept) or 'none'} are kept")
        await catalog.keep(lease, replace(kept, state=DROPPING))
        if kept.retired:
            retired_seconds = (await catalog.now() - kept.retired) / 1000
            await asyncio.sleep(max(0.0, quiet_seconds - retired_seconds))
        deleted = await drop_keys(redis, settings.redis_prefix, kept.pointer)
        await catalog.forget(lease, number)
    return deleted
