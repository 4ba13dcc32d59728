"""Redis' memory, on each node of a cluster: whether keys may be dropped when it is full, and whether they were."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio.cluster import RedisCluster

from projector.settings import ProjectorSettings
from projector.store.calls import limited
from service.diagnosis.redis import diagnose, replica
from service.errors import ServiceUnavailableError
from service.redis import REDIS_FAULTS, AnyRedis, address, sentence

NO_EVICTION: Final = "noeviction"
# These drop only keys with a lifetime, which none of ours has: for us they are as safe, and many providers set them.
ONLY_WITH_LIFETIME: Final = "volatile-"
REPLICA: Final = "slave"
# So much of the memory there may be is used when writes are refused now and again.
FULL: Final = 0.95
LOOK_TIMEOUT_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Memory:
    """What Redis, or one node of a cluster by its name, says of its memory."""

    node: str
    policy: str
    evicted_keys: int
    used: str
    limit: str
    role: str = "master"

    @property
    def is_safe(self) -> bool:
        """Whether no key of ours is ever dropped."""
        return self.policy == NO_EVICTION or self.policy.startswith(ONLY_WITH_LIFETIME)

    @property
    def dropped_keys(self) -> int:
        """How many keys were dropped that may be ours."""
        return 0 if self.policy.startswith(ONLY_WITH_LIFETIME) else self.evicted_keys


async def read_memory(redis: AnyRedis) -> list[Memory]:
    """Return what Redis, or each primary of a cluster, says of its memory; raises REDIS_FAULTS."""
    return [
        Memory(
            name,
            str(node.get("maxmemory_policy", NO_EVICTION)),
            int(node.get("evicted_keys", 0)),
            str(node.get("used_memory_human", "?")),
            str(node.get("maxmemory_human", "0B")),
            str(node.get("role", "master")),
        )
        for name, node in (await info_by_node(redis, "default")).items()
    ]


async def info_by_node(redis: AnyRedis, *sections: str) -> dict[str, dict[str, Any]]:
    """Return what INFO says, memory among it: of each primary of a cluster by its name, else under an empty one."""
    if isinstance(redis, RedisCluster):
        answer: dict[str, Any] = await redis.info(*sections, target_nodes=RedisCluster.PRIMARIES)
    else:
        answer = await redis.info(*sections)
    return {"": answer} if "used_memory" in answer else answer


async def is_full(redis: AnyRedis) -> bool:
    """Tell whether Redis, or a node of a cluster, has hardly any memory left; False where it has no limit."""
    async with limited():
        nodes = await info_by_node(redis, "memory")
    limits = [(int(node["used_memory"]), int(node.get("maxmemory") or 0)) for node in nodes.values()]
    return any(limit and used > FULL * limit for used, limit in limits)


def why_unsafe(memory: Memory, place: str) -> str | None:
    """Return what is to be done about a Redis that may drop keys; None when it never does."""
    if memory.is_safe:
        return None
    return (
        f"Redis at {memory.node or place} may drop keys without an error (maxmemory-policy is {memory.policy}): "
        f"set it to {NO_EVICTION} (`redis-cli CONFIG SET maxmemory-policy {NO_EVICTION}` and in its configuration), or "
        "where its provider has the setting"
    )


def why_incomplete(memory: Memory, place: str) -> str | None:
    """Return what is to be done about a Redis that has dropped keys; None when it has not."""
    if not memory.dropped_keys:
        return None
    return (
        f"Redis at {memory.node or place} has dropped {memory.dropped_keys} keys without an error, jobs may be "
        "missing: delete the keys of the prefix, so that the log is folded again, and then `redis-cli CONFIG RESETSTAT`"
    )


async def require_redis(redis: AnyRedis, settings: ProjectorSettings) -> list[Memory]:
    """Return what Redis says of its memory once it answers, and is set never to drop keys.

    Raises ServiceUnavailableError, which says what to do.
    """
    memories = await _memory(redis, settings)
    if faults := _told(why_unsafe(memory, address(settings)) for memory in memories):
        raise ServiceUnavailableError(faults)
    return memories


async def require_primary(redis: AnyRedis, settings: ProjectorSettings) -> None:
    """Return when Redis takes writes and is set never to drop keys; ServiceUnavailableError says what to do."""
    memories = await require_redis(redis, settings)
    if any(memory.role == REPLICA for memory in memories):
        raise ServiceUnavailableError(sentence(settings, replica()))


async def _memory(redis: AnyRedis, settings: ProjectorSettings) -> list[Memory]:
    """Ask until Redis answers; what waiting cannot mend, such as a wrong password, is told at once."""
    fault = failure = None
    try:
        async with asyncio.timeout(settings.start_timeout_seconds):
            while True:
                try:
                    return await read_memory(redis)
                except REDIS_FAULTS as error:
                    failure = error
                    fault = await diagnose(settings, error)
                    if not fault.may_pass:
                        break
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        pass
    fault = fault or await diagnose(settings, failure)
    raise ServiceUnavailableError(sentence(settings, fault)) from failure


class EvictionWatch:
    """Looks now and then whether Redis, which was safe at the start, may drop keys by now, or has."""

    def __init__(self, redis: AnyRedis, place: str) -> None:
        self._redis = redis
        self._place = place
        self.evicted_keys = 0
        self.trouble: str | None = None

    async def look(self) -> None:
        """Ask Redis; the next time will do when it does not answer."""
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_SECONDS):
                memories = await read_memory(self._redis)
        except REDIS_FAULTS:
            return
        self.evicted_keys = sum(memory.dropped_keys for memory in memories)
        self.trouble = _told(why(memory, self._place) for why in (why_unsafe, why_incomplete) for memory in memories)


def _told(faults: Iterable[str | None]) -> str | None:
    """Return the faults that there are as one text; None when there is none."""
    return "; ".join(filter(None, faults)) or None
