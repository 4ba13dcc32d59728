"""The connections there are, and which of them make room for others.

A connection without a whole request at hand is waiting: it has sent nothing yet, half a request, or had its answer.
When there are nearly as many connections as there may be, the one that has waited longest is closed for each new one,
so that a flood of connections that ask nothing locks nobody out. One that is answered is never closed for another.
"""

import asyncio
import resource
from collections import OrderedDict
from typing import Final, Protocol

import structlog

from api.metrics import Metrics

MAX_CONNECTIONS: Final = 4096
# Beside as many streams as there may be, at least so many others find a place.
OTHER_CONNECTIONS: Final = 1024
# So many places are kept for those who come: waiting connections are closed for them.
KEPT_CONNECTIONS: Final = 256
# How long the head of a request may take from its first byte.
HEAD_SECONDS: Final = 5.0
# Each connection is an open file; these are for Redis, the listener and the log.
SPARE_FILES: Final = 64
_SWEEP_SECONDS: Final = 0.5
LOG_SECONDS: Final = 5.0
_log = structlog.get_logger(__name__)


def most_connections(streams: int) -> int:
    """Return how many connections there may be where there may be so many streams."""
    return max(MAX_CONNECTIONS, streams + OTHER_CONNECTIONS)


def room_for_connections(wanted: int) -> int:
    """Have the system allow the open files of so many connections; return for how many of them it does."""
    needed = wanted + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        _log.warning(
            "the system allows too few open files: raise the limit (ulimit -n, LimitNOFILE=) or lower API_STREAMS",
            open_files=allowed,
            needed=needed,
        )
    return allowed - SPARE_FILES


class Held(Protocol):
    """A connection, as far as it is looked at here."""

    @property
    def is_waiting(self) -> bool:
        """Whether no whole request is at hand."""

    def cut(self) -> None:
        """End it at once."""


class Connections:
    """All connections, those without a request for longest first."""

    def __init__(self, metrics: Metrics, most: int) -> None:
        self._metrics = metrics
        self._most = most
        self._open: OrderedDict[Held, None] = OrderedDict()
        self._half: dict[Held, float] = {}
        self._cut: dict[str, int] = {}

    def opened(self, connection: Held) -> None:
        """Take a connection in, or cut it or another one when there are too many."""
        if len(self._open) >= self._most - KEPT_CONNECTIONS:
            self._make_room()
        if len(self._open) >= self._most:
            self._end(connection, "connections")
            return
        self._open[connection] = None

    def heard(self, connection: Held, *, is_half: bool) -> None:
        """Note that something came: half of a request, or the rest of it."""
        if is_half:
            self._half.setdefault(connection, asyncio.get_running_loop().time())
        else:
            self._half.pop(connection, None)
            self._move_behind(connection)

    def closed(self, connection: Held) -> None:
        """Let a connection go."""
        self._open.pop(connection, None)
        self._half.pop(connection, None)

    async def watch(self) -> None:
        """End requests that take too long to arrive, and say now and then what was ended; until it is cancelled."""
        loop = asyncio.get_running_loop()
        logged = loop.time()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = loop.time()
            for connection, since in list(self._half.items()):
                if now - since < HEAD_SECONDS:
                    break
                self._end(connection, "half request")
            if self._cut and now - logged >= LOG_SECONDS:
                logged = now
                told, self._cut = self._cut, {}
                counts = {reason.replace(" ", "_"): count for reason, count in told.items()}
                _log.warning("connections were cut", open=len(self._open), **counts)

    def _make_room(self) -> None:
        """Cut the connection that has waited longest; those that are answered are passed over."""
        for _ in range(len(self._open)):
            connection = next(iter(self._open))
            if connection.is_waiting:
                self._end(connection, "room for others")
                return
            self._move_behind(connection)

    def _move_behind(self, connection: Held) -> None:
        if connection in self._open:
            self._open.move_to_end(connection)

    def _end(self, connection: Held, reason: str) -> None:
        self.closed(connection)
        self._metrics.limit_met(reason)
        self._cut[reason] = self._cut.get(reason, 0) + 1
        connection.cut()
