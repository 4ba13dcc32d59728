"""Sizes: how much memory a generation takes, and whether another one fits beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from redis.asyncio.cluster import RedisCluster

from projector.store.calls import limited
from projector.store.keys import keys_of
from projector.store.memory import info_by_node
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


async def require_room(redis: AnyRedis, needed_bytes: int = 0, buckets: Sequence[str] = ("",)) -> None:
    """Raise CommandError when so much more would not leave enough of Redis' memory to live events.

    `buckets` has what the keys of each bucket begin with that it is divided into: one lives on one node of a cluster.
    """
    async with limited():
        nodes = await info_by_node(redis, "memory")
        homes = [_home(redis, bucket) for bucket in buckets]
    for name, node in nodes.items():
        used = int(node["used_memory"])
        limit = int(node.get("maxmemory") or node.get("total_system_memory") or 0)
        needed = int(needed_bytes * _MARGIN * homes.count(name) / len(homes))
        if limit and used + needed > limit * SHARE:
            raise CommandError(
                f"Redis{name and f' at {name}'} has no room for another generation: {_mib(used)} of {_mib(limit)} are "
                f"used, about {_mib(needed)} more are needed and {1 - SHARE:.0%} must stay free for live events: raise "
                "maxmemory, or drop a generation that is kept (`python -m projector generations`)"
            )


def _home(redis: AnyRedis, key: str) -> str:
    """Return the name of the node of a cluster that a key lives on; empty without a cluster."""
    node = redis.get_node_from_key(key) if isinstance(redis, RedisCluster) else None
    return str(node.name) if node else ""


def _mib(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"
