"""Clients of streams that keep all they were told, through everything that happens, and hold it against the truth.

Each follows one query for a while, comes again with its last id whenever its stream ends without `end`, and then
follows another one. What it holds changes only by what it is told.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from random import Random
from typing import Any, Final

import aiohttp
import orjson

from tests.torture.clients.observation import Query
from tests.torture.clients.readers import query_of
from tests.torture.clients.traffic import Traffic
from tests.torture.judging.anomalies import Anomaly, Name
from tests.torture.judging.truth import ADMIN_FIELDS, Row, Truth, right_rows
from tests.torture.system.system import ADMIN_TOKEN, System

STREAM_PATH: Final = "/api/v1/operator/status/events"
OWNERS: Final = 0.3  # the share of those that follow an owner
FOLLOWED_SECONDS: Final = (3.0, 20.0)
AGAIN_SECONDS: Final = (0.05, 1.0)
# How long after all is calm every stream must have told the truth: a client waits, joins, and reads.
TRUTH_SECONDS: Final = 20.0
SILENT_SECONDS: Final = 20.0
FINISHED: Final = 5
Key = tuple[str, str, str, int]


class Streamer:
    """One client; what it holds of its query."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.query: Query | None = None
        self.rows: dict[Key, Row] = {}
        self.last_id = ""
        self.has_ended = False
        self.follow_until = 0.0
        self.wrong: list[Anomaly] = []

    def begin(self, query: Query) -> None:
        """Follow another query from its beginning."""
        self.query, self.rows, self.last_id, self.has_ended = query, {}, "", False
        self.follow_until = time.monotonic() + self._random.uniform(*FOLLOWED_SECONDS)

    def take(self, block: str) -> None:
        """Take a block in."""
        fields = dict(line.partition(": ")[::2] for line in block.split("\n"))
        self.last_id = fields.get("id", self.last_id)
        name, data = fields.get("event"), orjson.loads(fields.get("data", "null"))
        if name == "reset":
            self.rows = {}
        elif name == "snapshot":
            for item in data if isinstance(data, list) else data["jobs"]:
                self._put(item)
        elif name == "status":
            self._put(data)
        elif name == "gone":
            self.rows.pop(key_of(data, data["attempt"]), None)
        elif name == "end":
            self.has_ended = True
            if not all(row["status"] == FINISHED for row in self.rows.values()) or len(self.rows) != data["jobs"]:
                self._note(Name.WRONG_ANSWER, f"an end of {data} after {self.rows}")

    def _put(self, item: Mapping[str, Any]) -> None:
        row: Row = item["job"]
        key = key_of(row, item["attempt"])
        before = self.rows.get(key)
        if before and before["status"] > row["status"]:
            self._note(Name.REGRESSED_STATUS, f"{row} after {before}")
        assert self.query is not None
        wanted = self.query.parameters
        if any(row[name] != value for name, value in wanted.items()):
            self._note(Name.WRONG_ANSWER, f"{row} for {wanted}")
        if not self.query.is_admin and any(row[name] for name in ADMIN_FIELDS):
            self._note(Name.WRONG_ANSWER, f"what admins see, for everybody: {row}")
        self.rows[key] = row

    def _note(self, name: Name, what: str) -> None:
        self.wrong.append(Anomaly(name, f"in a stream of {self.query}: {what}"))

    def held(self) -> list[bytes]:
        """Return what it holds, in a fixed order."""
        return sorted(map(orjson.dumps, self.rows.values()))


def key_of(named: Mapping[str, Any], attempt: int) -> Key:
    """Return who a job is."""
    return named["owner"], named["agreementId"], named["jobId"], attempt


class Streamers:
    """All clients of streams."""

    def __init__(self, system: System, traffic: Traffic, seed: int, count: int) -> None:
        self._system = system
        self._traffic = traffic
        self._clients = [Streamer(Random(f"{seed}/stream/{number}")) for number in range(count)]
        self._random = Random(f"{seed}/streams")
        self._keeps = False
        self.opened = 0

    async def run(self) -> None:
        """Follow until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=2.0, sock_read=SILENT_SECONDS)
        self._keeps = False
        async with (
            aiohttp.ClientSession(
                self._system.api_address,
                connector=aiohttp.TCPConnector(limit=0),
                timeout=timeout,
                read_bufsize=2**22,
            ) as session,
            asyncio.TaskGroup() as it,
        ):
            for client in self._clients:
                it.create_task(self._follow_on(session, client))

    async def _follow_on(self, session: aiohttp.ClientSession, client: Streamer) -> None:
        while True:
            is_over = client.has_ended or time.monotonic() > client.follow_until
            if client.query is None or (is_over and not self._keeps):
                if not (self._traffic.recent or self._traffic.older):
                    await asyncio.sleep(AGAIN_SECONDS[1])
                    continue
                client.begin(self._choose())
            if not client.has_ended:
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    await self._follow(session, client)
            await asyncio.sleep(self._random.uniform(*AGAIN_SECONDS))

    async def _follow(self, session: aiohttp.ClientSession, client: Streamer) -> None:
        assert client.query is not None
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"} if client.query.is_admin else {}
        if client.last_id:
            headers["Last-Event-ID"] = client.last_id
        async with session.get(STREAM_PATH, params=client.query.parameters, headers=headers) as answer:
            if answer.status == 204:
                client.has_ended = True
            if answer.status != 200:
                return
            self.opened += 1
            text = ""
            async for chunk in answer.content.iter_any():
                *blocks, text = (text + chunk.decode()).split("\n\n")
                for block in blocks:
                    client.take(block)
                if time.monotonic() > client.follow_until and not self._keeps:
                    return

    def _choose(self) -> Query:
        recent = list(self._traffic.recent) or list(self._traffic.older)
        job = self._random.choice(recent)
        is_admin = self._random.random() < 0.5
        if self._random.random() < OWNERS and job.owner != self._traffic.largest_owner:
            return Query("owner", job.owner, is_admin)
        return query_of(job, is_admin=is_admin, is_whole=self._random.random() < 0.3)

    async def judge(self, truth: Truth) -> list[Anomaly]:
        """Return what was wrong, and which streams do not come to tell the truth once all is calm."""
        self._keeps = True
        deadline = time.monotonic() + TRUTH_SECONDS
        while (late := list(self._untrue(truth))) and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(AGAIN_SECONDS[0])
        wrong = [anomaly for client in self._clients for anomaly in client.wrong]
        for client in self._clients:
            client.wrong.clear()
        return wrong + [
            Anomaly(Name.STREAM_SILENT, f"{client.query}: held {client.held()}, right would be {right}")
            for client, right in late
        ]

    def _untrue(self, truth: Truth) -> Iterator[tuple[Streamer, list[bytes]]]:
        """Yield those that hold something else than the truth; who was told the end is not told of what came after."""
        for client in self._clients:
            if client.query is not None and not client.has_ended:
                rows = right_rows(truth, client.query.parameters, is_admin=client.query.is_admin)
                right = sorted(map(orjson.dumps, rows))
                if client.held() != right:
                    yield client, right
