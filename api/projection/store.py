"""The store: the calls to Redis that reading takes, and the ways in which they fail."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import Any, Final

import structlog
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    RedisClusterException,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from api.metrics import Metrics
from api.projection.errors import NO_ANSWER_IN_TIME, StoreUnavailableError
from service.redis import REDIS_FAULTS, AnyRedis, read_hash

CALL_TIMEOUT_SECONDS: Final = 0.5
# What a node of a cluster may take: less than the shortest call (see reader.py), so that the client learns of one that
# hangs, and more than half of the longest: the retry, which looks for another node, is broken off with the call.
NODE_SECONDS: Final = 0.26
NODE_RETRIES: Final = 1

_REASONS: Final = (
    ((TimeoutError, RedisTimeoutError), NO_ANSWER_IN_TIME),
    (BusyLoadingError, "it is loading its data"),
    ((AuthenticationError, NoPermissionError), "it refuses access"),
    ((RedisConnectionError, RedisClusterException, OSError), "no connection"),
)
_log = structlog.get_logger(__name__)


class Script:
    """A script that Redis runs, and the name that Redis gives it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.name = sha1(text.encode()).hexdigest()  # noqa: S324 - so Redis does


class Store:
    """Calls to Redis; each has one limit around it and is not repeated."""

    def __init__(self, redis: AnyRedis, metrics: Metrics) -> None:
        self._redis = redis
        self._metrics = metrics
        self._is_away = False

    async def read_hash(self, key: str) -> Mapping[bytes, bytes]:
        """Return the fields of a hash; StoreUnavailableError."""
        async with self._limited(CALL_TIMEOUT_SECONDS):
            return await read_hash(self._redis, key)

    async def run(
        self, script: Script, keys: Sequence[str], argv: Sequence[str | int], timeout_seconds: float
    ) -> Sequence[Any]:
        """Return what a script replies; StoreUnavailableError."""
        async with self._limited(timeout_seconds):
            try:
                reply = await self._redis.evalsha(script.name, len(keys), *keys, *argv)
            except NoScriptError:
                reply = await self._redis.eval(script.text, len(keys), *keys, *argv)
        return reply  # type: ignore[no-any-return]

    @asynccontextmanager
    async def _limited(self, timeout_seconds: float) -> AsyncIterator[None]:
        """Bound a call to Redis, and tell all the ways in which it can fail from the answers it gives."""
        try:
            async with asyncio.timeout(timeout_seconds):
                yield
        except REDIS_FAULTS as error:
            raise self._failed(error) from error
        if self._is_away:
            self._is_away = False
            _log.info("the store answers again")

    def _failed(self, error: Exception) -> StoreUnavailableError:
        reason = next((reason for kinds, reason in _REASONS if isinstance(error, kinds)), "it reports an error")
        self._metrics.redis_error(reason)
        if not self._is_away:
            self._is_away = True
            _log.warning("the store cannot be read", reason=reason, error=str(error))
        return StoreUnavailableError(reason)
