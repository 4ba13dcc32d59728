"""Sizes: about how much memory generations take, and whether another one fits beside them.

Where a server holds few keys all are looked at, else some that are drawn at random, so that it takes no longer however
many there are. Each job is one hash, and one entry in each index, so the hashes tell how many jobs there are, and the
sets what an entry takes.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio.cluster import RedisCluster

from projector.store.calls import limited, script_text
from projector.store.memory import info_by_node
from schemas.redis_layout import INDEXES, JOB, Pointer
from service.errors import CommandError
from service.redis import AnyRedis

# A server with no more keys is walked through; of one with more so many are drawn, which tells within some percent.
WALKED_KEYS: Final = 100_000
DRAWN_KEYS: Final = 5_000
# In each call, which takes some milliseconds.
KEYS_AT_ONCE: Final = 500
_DRAW: Final = "random"
# What a rebuild may fill of the memory there is: the rest is for live events.
SHARE: Final = 0.9
# What an entry of an index takes where none was drawn.
ENTRY_BYTES: Final = 150
_MARGIN: Final = 1.1
_OURS: Final = re.compile(rb"\{g(\d+)\.b\d+\}:(" + b"|".join(name.encode() for name in (JOB, *INDEXES)) + rb")")


# What a call needs to reach one server, and a key with its bytes and members.
_Target = dict[str, Any]
_Measured = tuple[bytes, int, int]


@dataclass(frozen=True, slots=True)
class Size:
    """About how many jobs a generation has, and about how many bytes they and their index entries take."""

    jobs: int
    bytes: int


@dataclass(slots=True)
class _Kind:
    """What was seen of one kind of key: how many keys, their bytes and their members."""

    keys: float = 0.0
    bytes: float = 0.0
    members: float = 0.0


@dataclass(slots=True)
class _Sample:
    """What was seen on all servers, by generation and kind; a key counts for as many as it stands for."""

    kinds: dict[tuple[int, str], _Kind] = field(default_factory=lambda: defaultdict(_Kind))

    def add(self, name: bytes, size: int, members: int, weight: float) -> None:
        """Take in a key, by what its name has behind the prefix."""
        if found := _OURS.match(name):
            kind = self.kinds[int(found[1]), found[2].decode()]
            kind.keys += weight
            kind.bytes += weight * size
            kind.members += weight * members

    def size(self, number: int) -> Size:
        """Return the size of a generation."""
        jobs = self.kinds[number, JOB]
        entries = [self.kinds[number, name] for name in INDEXES]
        each = sum(kind.bytes / kind.members if kind.members else ENTRY_BYTES for kind in entries)
        return Size(round(jobs.keys), round(jobs.bytes + jobs.keys * each))


async def sizes_of(redis: AnyRedis, prefix: str, pointers: Collection[Pointer]) -> dict[int, Size]:
    """Return about the size of each generation, by its number; exactly, where there are few keys."""
    sample = _Sample()
    start = f"{prefix}:"
    async with limited():
        targets = await _servers(redis)
        sha = await redis.script_load(script_text("replay/sample"))
    for target in targets:
        held, looked_at, measured = await _look(redis, sha, start, target)
        for key, size, members in measured:
            sample.add(key[len(start.encode()) :], size, members, held / looked_at)
    return {pointer.number: sample.size(pointer.number) for pointer in pointers}


async def _look(redis: AnyRedis, sha: str, start: str, target: _Target) -> tuple[int, int, list[_Measured]]:
    """Return how many keys a server holds, how many of these were looked at, and those of ours."""
    measured: list[_Measured] = []
    looked_at, asked, at = 0, 0, "0"
    while True:
        async with limited():
            answer: Any = await redis.execute_command("EVALSHA", sha, 0, start, KEYS_AT_ONCE, at, **target)
        held, next_at, seen, ours = answer
        looked_at, asked = looked_at + seen, asked + KEYS_AT_ONCE
        measured += ours
        if at == _DRAW or held > WALKED_KEYS:
            at = _DRAW
            if asked >= DRAWN_KEYS:
                return held, max(1, looked_at), measured
        else:
            at = next_at.decode()
            if at == "0":
                return looked_at, max(1, looked_at), measured


async def _servers(redis: AnyRedis) -> list[_Target]:
    """Return what a call needs to reach each server that holds keys."""
    if not isinstance(redis, RedisCluster):
        return [{}]
    await redis.initialize()
    return [{"target_nodes": node} for node in redis.get_primaries()]


async def require_room(
    redis: AnyRedis, needed_bytes: int = 0, buckets: Sequence[str] = ("",), *, left_bytes: int = 0
) -> None:
    """Raise CommandError when so much more would not leave enough of Redis' memory to live events.

    `buckets` has what the keys of each bucket begin with that it is divided into: one lives on one node of a cluster.
    What is under way already has `left_bytes` to go, which is told, and refused only when there is no room any more.
    """
    async with limited():
        nodes = await info_by_node(redis, "memory")
        homes = [_home(redis, bucket) for bucket in buckets]
    for name, node in nodes.items():
        used = int(node["used_memory"])
        limit = int(node.get("maxmemory") or node.get("total_system_memory") or 0)
        share = homes.count(name) / len(homes)
        needed, left = (int(size * _MARGIN * share) for size in (needed_bytes, left_bytes))
        if limit and used + needed > limit * SHARE:
            wanted = needed + left
            raise CommandError(
                f"Redis{name and f' at {name}'} has no room for another generation: {_mib(used)} of {_mib(limit)} are "
                f"used, about {_mib(wanted)} more are needed and {1 - SHARE:.0%} must stay free for live events: raise "
                f"maxmemory to {_mib((used + wanted) / SHARE + 2**20)}, or drop a generation that is kept "
                "(`python -m projector generations`)"
            )


def _home(redis: AnyRedis, key: str) -> str:
    """Return the name of the node of a cluster that a key lives on; empty without a cluster."""
    node = redis.get_node_from_key(key) if isinstance(redis, RedisCluster) else None
    return str(node.name) if node else ""


def _mib(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"
