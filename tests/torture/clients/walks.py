"""Readers of long lists: one who reads a whole streamed answer, slowly, and one who walks from page to page."""

import asyncio
import socket
import time
from collections import Counter
from random import Random
from typing import Any, Final, NamedTuple

import aiohttp
import orjson

from tests.torture.clients.readers import LAG, STATUS_PATH
from tests.torture.clients.traffic import Traffic
from tests.torture.system.system import ADMIN_TOKEN, System

PAUSE_SECONDS: Final = 1.0
LONGEST_WALK_SECONDS: Final = 40.0
STREAM, PAGES = "stream", "pages"
# A stream is read at some hundred KB a second, and little of it waits on the way.
PIECE_BYTES: Final = 16 * 1024
PIECE_PAUSE_SECONDS: Final = (0.01, 0.04)
RECEIVED_BYTES: Final = 32 * 1024
PAGE_JOBS: Final = 250
PAGE_PAUSE_SECONDS: Final = (0.02, 0.2)
TRIES: Final = 20
TRY_AGAIN_SECONDS: Final = 0.25
OK, UNAVAILABLE = 200, 503


class Walk(NamedTuple):
    """A long list that was read to its end, or a status that nobody may get; times are Unix seconds.

    `is_current` tells whether every answer on the way said that nothing was missing.
    """

    kind: str
    owner: str
    is_admin: bool
    started: float
    ended: float
    is_current: bool
    rows: list[dict[str, Any]]
    wrong_status: int = 0


class _CutError(Exception):
    """The list did not come to its end, as it may not while things break."""


class Walkers:
    """Reads the largest owner's jobs, over and over; what was cut is only counted."""

    def __init__(self, system: System, traffic: Traffic, seed: int) -> None:
        self.walks: list[Walk] = []
        self.counts: Counter[str] = Counter()
        self._system = system
        self._traffic = traffic
        self._seed = seed

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as it:
            for kind in (STREAM, PAGES):
                it.create_task(self._walk_on(kind, Random(f"{self._seed}/{kind}")))

    async def _walk_on(self, kind: str, random: Random) -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            if not self._traffic.largest_owner:
                continue
            try:
                async with asyncio.timeout(LONGEST_WALK_SECONDS):
                    self.walks.append(await self._walk(kind, random))
                self.counts[kind] += 1
            except (_CutError, aiohttp.ClientError, OSError, TimeoutError):
                self.counts[f"{kind} cut"] += 1

    async def _walk(self, kind: str, random: Random) -> Walk:
        is_admin = random.random() < 0.5
        walk = Walk(kind, self._traffic.largest_owner, is_admin, time.time(), 0.0, is_current=True, rows=[])
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"} if is_admin else {}
        async with aiohttp.ClientSession(
            self._system.api_address,
            connector=aiohttp.TCPConnector(socket_factory=_narrow),
            headers=headers,
            read_bufsize=PIECE_BYTES,
        ) as session:
            walk = await (_stream if kind == STREAM else _pages)(session, walk, random)
        return walk._replace(ended=time.time())


def _narrow(address: Any) -> socket.socket:
    """Return a socket that takes little at a time."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
    return made


async def _stream(session: aiohttp.ClientSession, walk: Walk, random: Random) -> Walk:
    async with session.get(STATUS_PATH, params={"owner": walk.owner}) as response:
        if response.status != OK:
            return _unless_cut(walk, response.status)
        pieces = []
        async for piece in response.content.iter_chunked(PIECE_BYTES):
            pieces.append(piece)
            await asyncio.sleep(random.uniform(*PIECE_PAUSE_SECONDS))
        return walk._replace(rows=orjson.loads(b"".join(pieces)), is_current=response.headers.get(LAG) == "0")


async def _pages(session: aiohttp.ClientSession, walk: Walk, random: Random) -> Walk:
    parameters = {"owner": walk.owner, "limit": str(PAGE_JOBS)}
    tries = 0
    while True:
        async with session.get(STATUS_PATH, params=parameters) as response:
            body, status, link = await response.read(), response.status, response.links.get("next")
        if status == UNAVAILABLE and tries < TRIES:
            tries += 1
            await asyncio.sleep(TRY_AGAIN_SECONDS)
            continue
        if status != OK:
            return _unless_cut(walk, status)
        is_current = walk.is_current and response.headers.get(LAG) == "0"
        walk = walk._replace(rows=walk.rows + orjson.loads(body), is_current=is_current)
        if link is None:
            return walk
        parameters = dict(link["url"].query)  # type: ignore[union-attr]
        await asyncio.sleep(random.uniform(*PAGE_PAUSE_SECONDS))


def _unless_cut(walk: Walk, status: int) -> Walk:
    if status == UNAVAILABLE:
        raise _CutError
    return walk._replace(wrong_status=status)
