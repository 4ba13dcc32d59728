"""Reaching Redis: one way to build a client from the settings."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import AbstractConnection, Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, RedisError
from redis.maint_notifications import MaintNotificationsConfig

from operator_status.diagnosis.fault import Fault
from service.diagnosis.redis import refusal, told_by, untold
from service.redis_sentinel import SENTINEL_SUFFIX, through_sentinels
from service.redis_url import address_in, servers_in
from service.settings import RedisSettings

AnyRedis = Redis | RedisCluster
# What a call may raise when Redis is away or cannot serve. The second is of a cluster of which no node answers, the
# last of uvloop: a pooled connection was reset instead of closed, which the client does not notice.
REDIS_FAULTS: Final = (RedisError, RedisClusterException, OSError, TimeoutError, RuntimeError)
CLUSTER_SUFFIX: Final = "+cluster"
CONNECT_SECONDS: Final = 5.0
NODE_SECONDS: Final = 3.0
# Every server and proxy understands it, for it needs no HELLO; `protocol=` in the URL is stronger.
PROTOCOL: Final = 2

# The commands that run a script that only reads, which the client of a cluster does not know how to send.
_READING_SCRIPTS: Final = {"EVAL_RO": "EVAL", "EVALSHA_RO": "EVALSHA"}
Value = TypeVar("Value")


class _Cluster(RedisCluster):
    """The client of a cluster.

    It finds the node for a script that only reads without asking one each time. And where it loses a connection by
    itself, that is told as such: after one call has failed it closes what it takes for idle, and meanwhile another call
    may be opening it.
    """

    async def _determine_slot(self, command: str, *args: Any) -> int:
        return await super()._determine_slot(_READING_SCRIPTS.get(command, command), *args)

    async def _execute_command(self, target_node: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super()._execute_command(target_node, *args, **kwargs)
        except AttributeError as error:  # of a connection that is closed, and so has no stream
            raise RedisConnectionError("the connection was closed while it was opened") from error


def connect(settings: RedisSettings, *, node_seconds: float = NODE_SECONDS, node_retries: int = 0) -> AnyRedis:
    """Return a client that connects on first use and never tries a command twice.

    Nothing is retried here (reads are, by `read`) and no timer is armed for each reply: whoever calls sets one limit
    around the whole call, and knows what a repetition means. But a sentinel, and a node of a cluster, gets
    `node_seconds`, less than that limit, for each reply: only what the client itself has given up makes it look for
    the node that has taken over, and there it may try again `node_retries` times.
    """
    url = settings.redis_url.get_secret_value()
    # While it waits for notices of maintenance the client does not see that an idle connection was closed.
    common: dict[str, Any] = {
        "protocol": PROTOCOL,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    if CLUSTER_SUFFIX in url.split(":", 1)[0]:
        (host, port), *_ = nodes = servers_in(url)
        parts = urlsplit(url.replace(CLUSTER_SUFFIX, "", 1))
        user, at, _ = parts.netloc.rpartition("@")
        first = parts._replace(netloc=f"{user}{at}[{host}]:{port}" if ":" in host else f"{user}{at}{host}:{port}")
        return _Cluster.from_url(
            urlunsplit(first),
            startup_nodes=[ClusterNode(*node) for node in nodes],
            socket_timeout=node_seconds,
            socket_connect_timeout=node_seconds,
            retry=Retry(NoBackoff(), node_retries),
            **common,
        )
    options = {"retry": Retry(NoBackoff(), 0), "socket_connect_timeout": CONNECT_SECONDS, **common}
    if SENTINEL_SUFFIX in url.split(":", 1)[0]:
        return through_sentinels(url, node_seconds, **options)
    return Redis.from_url(url, **options, socket_timeout=None, redis_connect_func=_introduce)


async def _introduce(connection: AbstractConnection) -> None:
    """Say to a server who connects; where it closes the connection instead, find out why."""
    try:
        await connection.on_connect()
    except RedisConnectionError as error:
        is_lost = type(error) is RedisConnectionError  # the others are answers, such as a refused password
        if is_lost and isinstance(connection, Connection) and (said := await refusal(connection.host, connection.port)):
            raise RedisConnectionError(said) from error
        raise


def address(settings: RedisSettings) -> str:
    """Return host and port of Redis, without credentials, for messages."""
    return address_in(settings.redis_url.get_secret_value())


def unreachable(settings: RedisSettings, error: Exception | None) -> str:
    """Return the sentence for a Redis that cannot be used, as far as the error itself tells the cause."""
    return sentence(settings, told_by(settings, error) or untold(error))


def sentence(settings: RedisSettings, fault: Fault) -> str:
    """Return the sentence for people."""
    if fault.may_pass:
        return f"Redis cannot be reached at {address(settings)} ({fault.cause}): {fault.remedy}"
    return f"Redis cannot be used at {address(settings)} ({fault.cause}): {fault.remedy}"


async def read(ask: Callable[[], Awaitable[Value]]) -> Value:
    """Return what is read; it is asked once more when the connection was closed before the answer was there.

    A server may close a connection in the very moment in which it is used: because it was idle for long, by CLIENT
    KILL, or because a proxy restarts. Only reads are repeated. The caller's limit is around both.
    """
    try:
        return await ask()
    except (RedisConnectionError, RuntimeError) as error:
        if type(error) not in {
            RedisConnectionError,
            RuntimeError,
        }:  # the others are answers, such as a refused password
            raise
        return await ask()


async def read_hash(redis: AnyRedis, key: str) -> dict[bytes, bytes]:
    """Return all fields of a hash, empty when there is none; our clients never decode replies."""
    return cast("dict[bytes, bytes]", await read(lambda: redis.hgetall(key)))
