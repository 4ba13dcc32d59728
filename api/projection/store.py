"""The store: Redis as the API sees it. The pointer to the live generation, and one script that reads."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

import structlog
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    RedisClusterException,
    RedisError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from api.errors import NO_ANSWER_IN_TIME, StoreUnavailableError
from api.metrics import Metrics
from api.projection.generation import Bucket, Generation, generation
from api.projection.lookup import Lookup, argument
from schemas.redis_layout import HEARTBEATS, JOB, META, POSITIONS, STORED_FIELDS, pointer_key
from service.redis import AnyRedis

CALL_TIMEOUT_SECONDS: Final = 0.5
# What a node of a cluster may take: less than the shortest call (see reader.py), so that the client learns of one that
# hangs, and more than half of the longest: the retry, which looks for another node, is broken off with the call.
NODE_SECONDS: Final = 0.26
NODE_RETRIES: Final = 1
POINTER_VALID_SECONDS: Final = 1.0
# While a switch is under way the pointer is read again this often.
SEALED_POINTER_VALID_SECONDS: Final = 0.05

_SCRIPT: Final = (files("api.projection") / "read.lua").read_text(encoding="utf-8")
_SCRIPT_HASH: Final = sha1(_SCRIPT.encode()).hexdigest()  # noqa: S324 - what Redis names a script by
_HEAD: Final[tuple[str | int, ...]] = (JOB, len(STORED_FIELDS), *STORED_FIELDS)
_KEYS: Final = (META, POSITIONS, HEARTBEATS)
_REASONS: Final = (
    ((TimeoutError, RedisTimeoutError), NO_ANSWER_IN_TIME),
    (BusyLoadingError, "it is loading its data"),
    ((AuthenticationError, NoPermissionError), "it refuses access"),
    ((RedisConnectionError, RedisClusterException, OSError), "no connection"),
)
_log = structlog.get_logger(__name__)


class Store:
    """The live generation in Redis; every call has one limit around it and is not repeated."""

    def __init__(self, redis: AnyRedis, prefix: str, metrics: Metrics) -> None:
        self._redis = redis
        self._prefix = prefix
        self._metrics = metrics
        self._generation: Generation | None = None
        self._valid_until = 0.0
        self._reading: asyncio.Task[Generation] | None = None
        self._is_away = False

    def known_generation(self) -> Generation | None:
        """Return the live generation when it was read less than a second ago."""
        return self._generation if asyncio.get_running_loop().time() < self._valid_until else None

    async def read_generation(self) -> Generation:
        """Read the live generation now; UnavailableError when there is none.

        Those who ask at the same moment share one call.
        """
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_generation())
            self._reading.add_done_callback(self._forget_reading)
        # The call is everybody's: one request that is cancelled must not take it from the others.
        return await asyncio.shield(self._reading)

    def suspect_generation(self) -> None:
        """Have the pointer read again soon: a bucket is sealed, so a switch is under way."""
        soon = asyncio.get_running_loop().time() + SEALED_POINTER_VALID_SECONDS
        self._valid_until = min(self._valid_until, soon)

    async def read(self, bucket: Bucket, lookups: Sequence[Lookup], timeout_seconds: float) -> Sequence[Any]:
        """Return the script's reply to the lookups; StoreUnavailableError."""
        keys = [bucket.base + name for name in _KEYS]
        argv: list[str | int] = [bucket.base, *_HEAD, argument(lookups)]
        async with self._limited(timeout_seconds):
            try:
                reply = await self._redis.evalsha(_SCRIPT_HASH, len(keys), *keys, *argv)
            except NoScriptError:
                reply = await self._redis.eval(_SCRIPT, len(keys), *keys, *argv)
        self._metrics.round_trip(len(lookups))
        return reply  # type: ignore[no-any-return]

    async def _read_generation(self) -> Generation:
        async with self._limited():
            fields: Any = await self._redis.hgetall(pointer_key(self._prefix))
        self._generation = None
        self._generation = generation(self._prefix, fields)
        self._valid_until = asyncio.get_running_loop().time() + POINTER_VALID_SECONDS
        return self._generation

    def _forget_reading(self, reading: asyncio.Task[Generation]) -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # everybody who waited has it; perhaps nobody did

    @asynccontextmanager
    async def _limited(self, timeout_seconds: float = CALL_TIMEOUT_SECONDS) -> AsyncIterator[None]:
        """Bound a call to Redis, and tell all the ways in which it can fail from the answers it gives."""
        try:
            async with asyncio.timeout(timeout_seconds):
                yield
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
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
