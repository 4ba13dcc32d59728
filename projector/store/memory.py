"""Redis' memory: whether keys may be dropped when it is full, and whether they have been; Redis tells neither."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import AuthenticationError, NoPermissionError

from projector.settings import ProjectorSettings
from service.errors import ServiceUnavailableError
from service.redis import REDIS_FAULTS, AnyRedis, address, unreachable

NO_EVICTION: Final = "noeviction"
LOOK_TIMEOUT_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Memory:
    """What Redis says of its memory; of a cluster, what the node says that is worst."""

    policy: str
    evicted_keys: int
    used: str
    limit: str


async def read_memory(redis: AnyRedis) -> Memory:
    """Return what Redis says of its memory; raises REDIS_FAULTS."""
    answer: dict[str, Any] = await redis.info("memory", "stats")
    memories = [
        Memory(
            str(node.get("maxmemory_policy", NO_EVICTION)),
            int(node.get("evicted_keys", 0)),
            str(node.get("used_memory_human", "?")),
            str(node.get("maxmemory_human", "0B")),
        )
        for node in nodes_of(answer)
    ]
    return max(memories, key=lambda memory: (memory.policy != NO_EVICTION, memory.evicted_keys))


def nodes_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what INFO says of each node: of the one there is, or of those of a cluster."""
    return [answer] if "used_memory" in answer else list(answer.values())


def why_unsafe(memory: Memory, place: str) -> str | None:
    """Return what is to be done about a Redis that may drop keys; None when it never does."""
    if memory.policy == NO_EVICTION:
        return None
    return (
        f"Redis at {place} may drop keys without an error (maxmemory-policy is {memory.policy}): "
        f"set it with `redis-cli CONFIG SET maxmemory-policy {NO_EVICTION}` and in its configuration"
    )


def why_incomplete(memory: Memory, place: str) -> str | None:
    """Return what is to be done about a Redis that has dropped keys; None when it has not."""
    if not memory.evicted_keys:
        return None
    return (
        f"Redis at {place} has dropped {memory.evicted_keys} keys without an error, jobs may be missing: delete the "
        "keys of the prefix, so that the log is folded again, and then `redis-cli CONFIG RESETSTAT`"
    )


async def require_redis(redis: AnyRedis, settings: ProjectorSettings) -> Memory:
    """Return what Redis says of its memory once it answers, and is set never to drop keys.

    Raises ServiceUnavailableError, which says what to do.
    """
    memory = await _memory(redis, settings)
    if fault := why_unsafe(memory, address(settings)):
        raise ServiceUnavailableError(fault)
    return memory


async def _memory(redis: AnyRedis, settings: ProjectorSettings) -> Memory:
    failure: Exception | None = None
    try:
        async with asyncio.timeout(settings.start_timeout_seconds):
            while True:
                try:
                    return await read_memory(redis)
                except (AuthenticationError, NoPermissionError) as error:
                    raise ServiceUnavailableError(f"Redis at {address(settings)} refuses us: {error}") from error
                except REDIS_FAULTS as error:
                    failure = error
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        raise ServiceUnavailableError(unreachable(settings, failure)) from failure


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
                memory = await read_memory(self._redis)
        except REDIS_FAULTS:
            return
        self.evicted_keys = memory.evicted_keys
        faults = (why_unsafe(memory, self._place), why_incomplete(memory, self._place))
        self.trouble = "; ".join(filter(None, faults)) or None
