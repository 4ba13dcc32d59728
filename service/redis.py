"""Reaching Redis: one way to build a client from the settings."""

from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from service.redis_url import address_in
from service.settings import RedisSettings

AnyRedis = Redis | RedisCluster
# What a call may raise when Redis is away or cannot serve; the second is of a cluster of which no node answers.
REDIS_FAULTS: Final = (RedisError, RedisClusterException, OSError, TimeoutError)
CLUSTER_SUFFIX: Final = "+cluster"
CONNECT_SECONDS: Final = 5.0
NODE_SECONDS: Final = 3.0


def connect(settings: RedisSettings, *, node_seconds: float = NODE_SECONDS, node_retries: int = 0) -> AnyRedis:
    """Return a client that connects on first use and never tries a command twice.

    Nothing is retried and no timer is armed for each reply: whoever calls sets one limit around the whole call, and
    knows what a repetition means. But of a cluster a node gets `node_seconds`, less than that limit, for each reply:
    only what the client itself has given up makes it look for the node that has taken over, and there it may try again
    `node_retries` times.
    """
    url = settings.redis_url.get_secret_value()
    if CLUSTER_SUFFIX in url.split(":", 1)[0]:
        return RedisCluster.from_url(
            url.replace(CLUSTER_SUFFIX, "", 1),
            socket_timeout=node_seconds,
            socket_connect_timeout=node_seconds,
            retry=Retry(NoBackoff(), node_retries),
        )
    options: dict[str, Any] = {"socket_timeout": None, "retry": Retry(NoBackoff(), 0)}
    return Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS, **options)


def address(settings: RedisSettings) -> str:
    """Return host and port of Redis, without credentials, for messages."""
    return address_in(settings.redis_url.get_secret_value())


def unreachable(settings: RedisSettings, error: Exception | None) -> str:
    """Return the sentence for a Redis that does not answer."""
    cause = f" ({error})" if error and str(error) else ""
    return (
        f"Redis cannot be reached at {address(settings)}{cause}: start it, for example with "
        "`python -m devstack up`, or set REDIS_URL"
    )


async def read_hash(redis: AnyRedis, key: str) -> dict[bytes, bytes]:
    """Return all fields of a hash, empty when there is none; our clients never decode replies."""
    return cast("dict[bytes, bytes]", await redis.hgetall(key))
