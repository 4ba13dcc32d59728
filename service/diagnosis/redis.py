"""Why Redis cannot be used: what its errors mean, and which language it speaks where they do not tell."""

import asyncio
from contextlib import suppress
from typing import Final

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import AuthenticationError, NoPermissionError, ReadOnlyError

from operator_status.diagnosis.fault import STEP_SECONDS, Fault, causes
from operator_status.diagnosis.network import Names, fault_on_the_way, silent, speaks_tls, start_it
from service.redis_url import endpoint_in, has_tls
from service.settings import RedisSettings

# A server that takes a connection says nothing, so that this is what it takes to find out that it does.
_REFUSAL_SECONDS: Final = 0.2

NAMES: Final = Names("REDIS_URL", "ssl_ca_certs in REDIS_URL", "ssl_certfile and ssl_keyfile in REDIS_URL")
_USER: Final = "user and password in REDIS_URL (redis://user:password@host:port/0)"
_COMMANDS: Final = "take away its rename-command; docs/operations.md lists the commands that are needed"
_RIGHTS: Final = "grant it, as docs/operations.md lists them"
# What an error says, what that means and what to change; the first that fits counts.
_TEXTS: Final = (
    ("unknown command 'hello'", "it does not know version 3 of the protocol", "write protocol=2 in REDIS_URL"),
    ("unknown command `hello`", "it does not know version 3 of the protocol", "write protocol=2 in REDIS_URL"),
    ("unknown command", "it does not know a command that is needed, or not by its name", _COMMANDS),
    ("unknown redis command", "it does not know a command that our scripts call, or not by its name", _COMMANDS),
    ("can't run this command", "a right is missing to a command that our scripts call", _RIGHTS),
    ("noperm", "a right is missing", _RIGHTS),  # within what else it says, such as of a transaction
    ("exec without multi", "a right is missing to MULTI", _RIGHTS),
    ("without any password configured", "it has no password, and REDIS_URL has one", "take it out, or set requirepass"),
    ("authentication required", "it wants a password", f"give {_USER}"),
    ("unauthenticated", "it wants a password", f"give {_USER}"),  # what it says to a long command
    ("wrongpass", "it refuses user or password", f"correct {_USER}"),
    ("invalid username-password pair", "it refuses user or password", f"correct {_USER}"),
    ("db index is out of range", "it has no database of this number", "correct the number at the end of REDIS_URL"),
    ("invalid db index", "it has no database of this number", "correct the number at the end of REDIS_URL"),
    (
        "select is not allowed in cluster mode",
        "it is a node of a cluster, which has one database",
        "write redis+cluster:// in REDIS_URL, and no number at its end",
    ),
    ("cluster mode is not enabled", "it is no cluster", "write redis:// or rediss:// in REDIS_URL"),
    ("cluster support disabled", "it is no cluster", "write redis:// or rediss:// in REDIS_URL"),
    ("moved ", "it is a node of a cluster", "write redis+cluster:// in REDIS_URL"),
    ("protected mode", "it answers only to its own machine", "give it a password, or set protected-mode no"),
)


async def diagnose(settings: RedisSettings, error: Exception | None) -> Fault:
    """Return what an error comes from; the server is asked when it does not say so itself."""
    if fault := told_by(settings, error):
        return fault
    url = settings.redis_url.get_secret_value()
    host, port = endpoint_in(url)
    if has_tls(url) and await _speaks_plaintext(host, port):
        return Fault(
            f"{host}:{port} speaks no TLS", "write redis:// instead of rediss:// in REDIS_URL, or set tls-port"
        )
    if not has_tls(url) and await speaks_tls(host, port):
        return Fault(f"{host}:{port} speaks TLS", "write rediss:// instead of redis:// in REDIS_URL")
    if error is None or isinstance(error, TimeoutError) or "timeout" in str(error).lower():
        return silent(host, port, NAMES)
    return untold(error)


def told_by(settings: RedisSettings, error: Exception | None) -> Fault | None:
    """Return what an error says by itself; None when the server must be asked."""
    host, port = endpoint_in(settings.redis_url.get_secret_value())
    if error and (fault := fault_on_the_way(error, host, port, NAMES)):
        return fault
    return next(filter(None, map(_fault_of_answer, causes(error))), None)


def lasting_fault(error: BaseException | None) -> Fault | None:
    """Return what Redis itself says to be wrong, if no waiting mends it, such as a right that is missing."""
    fault = next(filter(None, map(_fault_of_answer, causes(error))), None)
    return None if fault is None or fault.may_pass else fault


def _fault_of_answer(error: BaseException) -> Fault | None:
    if isinstance(error, MasterNotFoundError):
        remedy = "look at the sentinels, or correct REDIS_URL"
        return Fault(f"no sentinel names a primary: {error}", remedy, may_pass=True)
    if isinstance(error, NoPermissionError):
        return Fault(f"a right is missing: {error}", _RIGHTS)
    if isinstance(error, ReadOnlyError):
        return replica()
    said = f"{type(error).__name__} {error}".lower().replace("movederror", "moved ")
    for text, meaning, remedy in _TEXTS:
        if text in said:
            return Fault(f"{meaning}: {error}", remedy)
    if isinstance(error, AuthenticationError):
        return Fault(f"it refuses user or password: {error}", f"correct {_USER}")
    return None


def replica() -> Fault:
    """Return the fault of a server that takes no writes; it may become the one that does."""
    return Fault("it is a replica, which takes no writes", "name the primary in REDIS_URL", may_pass=True)


def untold(error: Exception | None) -> Fault:
    """Return the fault of an error whose cause nobody knows."""
    return Fault(str(error or "") or "no answer in time", start_it(NAMES), may_pass=True)


async def refusal(host: str, port: int) -> str | None:
    """Return why a server takes no connections, which it says before it is asked anything and then closes.

    Whoever sends something meanwhile finds the connection reset, mostly before that could be read.
    """
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_REFUSAL_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                said = (await reader.readline()).decode(errors="replace").strip()
            finally:
                writer.transport.abort()
            return said[1:].removeprefix("ERR ") if said.startswith("-") else None
    return None


async def _speaks_plaintext(host: str, port: int) -> bool:
    """Tell whether a server answers as Redis does without TLS, be it with a refusal."""
    with suppress(OSError):
        async with asyncio.timeout(STEP_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"PING\r\n")
                return (await reader.read(1)) in {b"+", b"-"}
            finally:
                writer.transport.abort()
    return False
