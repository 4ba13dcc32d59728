"""A generation is made beside the live one, and removed again."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from projector.fold.batch import move
from projector.operating.progress import Show, Stage, silent
from projector.replay.generations.change import Change
from projector.replay.generations.size import sizes_of
from projector.store.buckets import Offsets
from projector.store.calls import limited
from projector.store.keys import keys_by_bucket
from projector.store.sifting import first_round
from schemas.redis_layout import DROPPING, META, KeptGeneration, Pointer, bucket_prefix

MAX_BUCKETS: Final = 256
# About: its hash, and an index entry that has a key of its own.
KEYS_OF_A_JOB: Final = 2
_PAUSE_SECONDS: Final = 0.002


async def make(change: Change, wanted: Pointer, state: str, starts: Mapping[str, int]) -> KeptGeneration:
    """Write a new generation into the catalog, with incarnations of its own; its buckets have to be begun."""
    pointer = replace(wanted, incarnations=tuple(secrets.token_hex(8) for _ in range(wanted.buckets)))
    kept = KeptGeneration(pointer, state, await change.catalog.now(), starts=starts)
    await change.catalog.keep(change.lease, kept)
    await _delete_keys(change, pointer)  # of a generation whose catalog was lost
    return kept


async def begin_buckets(change: Change, pointer: Pointer, floors: Offsets | None = None, cutoff: str = "") -> None:
    """Make those of its buckets that are not there; with a cutoff they are sifted up to these floors."""
    buckets = change.generation(pointer).buckets
    for bucket, incarnation in enumerate(pointer.incarnations):
        await buckets.begin(bucket, floors or {}, incarnation, first_round(cutoff))


async def go_to_start(change: Change, target: KeptGeneration) -> None:
    """Let partitions whose beginning is gone from the log stand where it begins."""
    generation = change.generation(target.pointer)
    generation.sifts = await generation.sifting.read()
    for name, start in target.starts.items():
        stored = (await generation.standings([name]))[name].next
        if min(stored) == 0:
            await generation.apply(move(name, 0, start, stored))


async def remove(change: Change, kept: KeptGeneration, quiet_seconds: float = 0.0, show: Show = silent) -> int:
    """Remove a generation, when it has not been live for so long; return how many keys were deleted.

    LeaseLostError, before any is, when that is not ours to do any more.
    """
    await change.catalog.keep(change.lease, replace(kept, state=DROPPING))
    number = kept.pointer.number
    if kept.retired:
        retired_seconds = (await change.catalog.now() - kept.retired) / 1000
        left = max(0.0, quiet_seconds - retired_seconds)
        if left:
            show({}, {}, Stage(f"removes generation {number}", waits=f"those who may read it still, {left:.0f} s"))
        await asyncio.sleep(left)
    deleted = await _delete_keys(change, kept.pointer, show)
    await change.catalog.forget(change.lease, kept.pointer.number)
    return deleted


async def _delete_keys(change: Change, pointer: Pointer, show: Show = silent) -> int:
    """Delete all keys of a generation, in steps that leave Redis time for others; return how many."""
    removing = Stage(f"removes generation {pointer.number}", "keys")
    jobs = (await sizes_of(change.redis, change.prefix, [pointer]))[pointer.number].jobs
    deleted = 0
    for bucket in range(pointer.buckets):
        async with limited():  # without its meta a bucket is not read any more, so nobody reads half of it
            deleted += await change.redis.unlink(bucket_prefix(change.prefix, pointer.number, bucket) + META)
    async for _, keys in keys_by_bucket(change.redis, change.prefix, pointer):
        async with limited():
            deleted += await change.redis.unlink(*keys)
        show({"keys": deleted}, {"keys": max(deleted, jobs * KEYS_OF_A_JOB)}, removing)
        await asyncio.sleep(_PAUSE_SECONDS)
    return deleted
