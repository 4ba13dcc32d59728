"""Calls to Redis: the limit around each, and what its failures mean.

No call is repeated by itself: after any failure the outcome of a write is unknown, and the caller finds out by reading
the positions again.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from projector.errors import (
    BucketMissingError,
    BucketSealedError,
    CallTimeoutError,
    DamagedBucketError,
    ProjectorError,
    ScriptError,
    StoreUnavailableError,
)
from service.redis import REDIS_FAULTS, AnyRedis

CALL_TIMEOUT_SECONDS: Final = 10.0

# What Redis says when a key or a value has a wrong type; the last is said by lua/numbers.lua.
_DAMAGE: Final = re.compile("WRONGTYPE|hash value is not an integer|increment or decrement would overflow|damaged: ")
# What it says of a script that fails by itself, unless somebody had Redis kill it, or gave its user too few rights.
_FAULT_OF_OURS: Final = re.compile(
    "(?:user_script:|Error running script)(?!.*(?:Script killed|can't run this command|can't access))"
)

_FLAGS: Final = re.compile(r"#!lua .*\n")
_FOLLOWED: Final = re.compile(r"^-- Follows ([\w/]+)\.lua: ", re.MULTILINE)
# Turns of the event loop from the answer to a call until the bytes of the next one are sent.
_TURNS: Final = 6


async def let_calls_go_on() -> None:
    """Let Redis be heard and sent what is next, by whoever computes meanwhile."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class Script:
    """A script of ours; called with keys and arguments, it answers within the limit or raises StoreUnavailableError."""

    def __init__(self, redis: AnyRedis, name: str) -> None:
        """Take the script of this name in `lua/`, such as `catalog/lease`, behind those it says it follows."""
        self._redis = redis
        self._script = redis.register_script(script_text(name))

    async def __call__(self, keys: Sequence[str | bytes], arguments: Sequence[str | bytes] = ()) -> Any:
        """Run it; where Redis does not know it, it is loaded first."""
        async with limited():
            return await self._script(keys, arguments)

    async def run_each(self, keys: Sequence[str | bytes], arguments: Sequence[Sequence[str | bytes]]) -> list[Any]:
        """Run it with each of these arguments, one after the other, and return the answers; all of them in one limit.

        They are sent at once, which costs less than a call for each, and Redis serves others in between. When one fails
        the others run all the same. The client of a cluster has no such way for scripts.
        """
        if isinstance(self._redis, RedisCluster):
            return [await self(keys, some) for some in arguments]
        async with limited(), self._redis.pipeline(transaction=False) as pipeline:
            for some in arguments:
                pipeline.evalsha(self._script.sha, len(keys), *keys, *some)
            # If it raised the error itself, it would put into that all that was sent.
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
            failed = next((answer for answer in answers if isinstance(answer, Exception)), None)
            if isinstance(failed, NoScriptError):
                return [await self._script(keys, some) for some in arguments]
            if failed:
                raise failed
            return answers


@cache  # a generation is looked at several times a second, through an object of its own each time
def script_text(name: str) -> str:
    """Return a script of this name in `lua/`, behind those it says it follows."""
    text = (files("projector.store") / "lua" / f"{name}.lua").read_text()
    flags = _FLAGS.match(text)
    first = flags[0] if flags else ""  # Redis wants them before anything else
    return "".join([first, *map(script_text, _FOLLOWED.findall(text)), text.removeprefix(first)])


@asynccontextmanager
async def limited() -> AsyncIterator[None]:
    """Bound a call to Redis, and tell all the ways in which it can fail from the answers it gives.

    DamagedBucketError when it stumbles over something of a wrong type, or its answer cannot be understood in the block;
    ScriptError when it is our script that fails; CallTimeoutError when there is no answer in time, and otherwise
    StoreUnavailableError, which it is too.
    """
    try:
        with understood():
            async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
                yield
    except REDIS_FAULTS as error:
        text = str(error) or type(error).__name__
        raise _kind_of(error, text)(text) from error


def _kind_of(error: Exception, text: str) -> type[ProjectorError]:
    """Return what a failed call means, which Redis tells in words."""
    if isinstance(error, TimeoutError | RedisTimeoutError):
        return CallTimeoutError
    if _DAMAGE.match(text):
        return DamagedBucketError
    return ScriptError if _FAULT_OF_OURS.match(text) else StoreUnavailableError


@contextmanager
def understood() -> Iterator[None]:
    """Tell by DamagedBucketError that what was stored is not what it must be."""
    try:
        yield
    except ValueError as error:
        raise DamagedBucketError(f"what is stored is damaged: {error}") from error


def check(answer: Sequence[Any]) -> None:
    """Raise what a script tells of its bucket by the first item of its answer, unless it did its work."""
    if answer[0] == b"missing":
        raise BucketMissingError
    if answer[0] == b"sealed":
        raise BucketSealedError
