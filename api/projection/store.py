"""The store: the calls to Redis that reading takes, and the ways in which they fail."""

import asyncio
import re
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
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from api.metrics import Metrics
from api.projection.errors import NO_ANSWER_IN_TIME, StoreUnavailableError
from service.redis import REDIS_FAULTS, AnyRedis, read, read_hash

CALL_TIMEOUT_SECONDS: Final = 0.5
# What a node of a cluster may take: less than the shortest call (see reader.py), so that the client learns of one that
# hangs, and more than half of the longest: the retry, which looks for another node, is broken off with the call.
NODE_SECONDS: Final = 0.26
NODE_RETRIES: Final = 1

_REFUSED: Final = "it refuses access"
# What Redis says to a long command of somebody who has given no password (to a short one it says NOAUTH), and of a
# command that a script calls and its user may not.
_ALSO_REFUSED: Final = re.compile("unauthenticated|can't run this command")
_WHAT_TO_GRANT: Final = "give the user in REDIS_URL the rights that docs/operations.md lists for the API"
_LACKS_A_COMMAND: Final = re.compile("unknown (?:redis )?command", re.IGNORECASE)
_WHAT_TO_HAVE: Final = "have Redis know the commands that docs/operations.md lists for the API, by their own names"
_REASONS: Final = (
    ((TimeoutError, RedisTimeoutError), NO_ANSWER_IN_TIME),
    (BusyLoadingError, "it is loading its data"),
    ((AuthenticationError, NoPermissionError), _REFUSED),
    ((RedisConnectionError, RedisClusterException, OSError), "no connection"),
)
# What a server says that has no scripts that only read (before Redis 7), or does not let this user run them.
_NO_READING_SCRIPTS: Final = re.compile("unknown command|no permissions to run the 'eval(?:sha)?_ro'", re.IGNORECASE)
_log = structlog.get_logger(__name__)


class Script:
    """A script that Redis runs, and the name that Redis gives it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.name = sha1(text.encode()).hexdigest()  # noqa: S324 - so Redis does


class Store:
    """Calls to Redis, which only read; each has one limit around it, also where it is asked on a second connection."""

    def __init__(self, redis: AnyRedis, metrics: Metrics) -> None:
        self._redis = redis
        self._metrics = metrics
        self._is_away = False
        self._has_reading_scripts = True

    async def read_hash(self, key: str) -> Mapping[bytes, bytes]:
        """Return the fields of a hash; StoreUnavailableError."""
        async with self._limited(CALL_TIMEOUT_SECONDS):
            return await read_hash(self._redis, key)

    async def run(
        self, script: Script, keys: Sequence[str], argv: Sequence[str | int], timeout_seconds: float
    ) -> Sequence[Any]:
        """Return what a script replies; StoreUnavailableError."""
        async with self._limited(timeout_seconds):
            return await read(lambda: self._run(script, keys, argv))

    async def _run(self, script: Script, keys: Sequence[str], argv: Sequence[str | int]) -> Sequence[Any]:
        """Run a script as one that only reads, for which the right to read is enough, where Redis has that."""
        has_them = self._has_reading_scripts
        try:
            return await self._call(script, keys, argv)
        except ResponseError as error:
            refused = isinstance(error, NoPermissionError)  # of the other kind as well: rights may be given any time
            self._has_reading_scripts = refused if not has_them else not _NO_READING_SCRIPTS.search(str(error))
            if not has_them or self._has_reading_scripts:
                raise
            return await self._run_as_writer(error, script, keys, argv)

    async def _call(self, script: Script, keys: Sequence[str], argv: Sequence[str | int]) -> Sequence[Any]:
        """Run a script by its name, or by its text where Redis does not know it."""
        redis = self._redis
        evalsha, eval_ = (redis.evalsha_ro, redis.eval_ro) if self._has_reading_scripts else (redis.evalsha, redis.eval)
        try:
            return await evalsha(script.name, len(keys), *keys, *argv)  # type: ignore[no-any-return]
        except NoScriptError:
            return await eval_(script.text, len(keys), *keys, *argv)  # type: ignore[no-any-return]

    async def _run_as_writer(
        self, refusal: ResponseError, script: Script, keys: Sequence[str], argv: Sequence[str | int]
    ) -> Sequence[Any]:
        """Run a script as one that may write; where both are refused, that tells which right is missing."""
        try:
            return await self._run(script, keys, argv)
        except NoPermissionError as error:
            raise (refusal if isinstance(refusal, NoPermissionError) else error) from None

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
        if _ALSO_REFUSED.search(str(error)):
            reason = _REFUSED
        self._metrics.redis_error(reason)
        if not self._is_away:
            self._is_away = True
            _log.warning("the store cannot be read", reason=reason, error=str(error), **_fix(reason, error))
        return StoreUnavailableError(reason)


def _fix(reason: str, error: Exception) -> dict[str, str]:
    """Return what an operator can do, for the log, where the error tells."""
    if reason == _REFUSED:
        return {"fix": _WHAT_TO_GRANT}
    return {"fix": _WHAT_TO_HAVE} if _LACKS_A_COMMAND.search(str(error)) else {}
