"""Sizes: how much memory a generation takes, and whether another one fits beside it."""

from dataclasses import dataclass
from typing import Final

from projector.store.calls import limited
from projector.store.keys import keys_of
from projector.store.memory import nodes_of
from schemas.redis_layout import INDEXES, JOB, Pointer
from service.errors import CommandError
from service.redis import AnyRedis

# One key in so many is measured.
_SAMPLE: Final = 50
# What a rebuild may fill of the memory there is: the rest is for live events.
SHARE: Final = 0.9
_MARGIN: Final = 1.1


@dataclass(frozen=True, slots=True)
class Size:
    """How many jobs a generation has, and about how many bytes they and their index entries take."""

    jobs: int
    bytes: int


async def size_of(redis: AnyRedis, prefix: str, pointer: Pointer) -> Size:
    """Return the size of a generation, counted in steps and measured by samples."""
    jobs, size = 0, 0.0
    for bucket in range(pointer.buckets):
        for name in (JOB, *INDEXES):
            count = 0
            sampled: list[int] = []
            async for keys in keys_of(redis, prefix, pointer.number, bucket, name):
                for key in keys[::_SAMPLE]:
                    async with limited():
                        sampled.append(await redis.memory_usage(key) or 0)
                count += len(keys)
            jobs += count if name == JOB else 0
            size += count * sum(sampled) / len(sampled) if sampled else 0
    return Size(jobs, int(size))


async def require_room(redis: AnyRedis, needed_bytes: int = 0) -> None:
    """Raise CommandError when so much more would not leave enough of Redis' memory to live events."""
    async with limited():
        nodes = nodes_of(await redis.info("memory"))
    used = sum(int(node["used_memory"]) for node in nodes)
    limit = sum(int(node.get("maxmemory") or node.get("total_system_memory") or 0) for node in nodes)
    needed = int(needed_bytes * _MARGIN)
    if limit and used + needed > limit * SHARE:
        raise CommandError(
            f"Redis has no room for another generation: {_mib(used)} of {_mib(limit)} are used, about "
            f"{_mib(needed)} more are needed and {1 - SHARE:.0%} must stay free for live events: raise maxmemory, "
            "or drop a generation that is kept (`python -m projector generations`)"
        )


def _mib(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"
