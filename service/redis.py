"""Reaching Redis: one way to build a client from the settings."""

from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from service.redis_url import address_in
from service.settings import RedisSettings

AnyRedis = Redis | RedisCluster
CLUSTER_SUFFIX: Final = "+cluster"


def connect(settings: RedisSettings, **options: Any) -> AnyRedis:
    """Return a client that connects on first use and never tries a command twice.

    Nothing is retried and no timer is armed for each reply: whoever calls sets one limit around the whole call, and
    knows what a repetition means. `options` go to the client.
    """
    url = settings.redis_url.get_secret_value()
    options = {"socket_timeout": None, "socket_connect_timeout": 5, "retry": Retry(NoBackoff(), 0)} | options
    if CLUSTER_SUFFIX in url.split(":", 1)[0]:
        return RedisCluster.from_url(url.replace(CLUSTER_SUFFIX, "", 1), **options)
    return Redis.from_url(url, **options)


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
