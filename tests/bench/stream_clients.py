"""Clients of streams, as many as one process can hold: each reads what it is sent, and notes how old it is."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.support.waiting import until

HOST: Final = "127.0.0.1"
STREAM: Final = "/api/v1/operator/status/events?owner="
CLIENTS_OF_AN_OWNER: Final = 10
# What a change carries: this, and when it was made.
STAMP: Final = b"http://stamp/"
STAMP_DIGITS: Final = 19
WAIT_SECONDS: Final = 90.0
# How long a client waits before it connects again.
AGAIN_SECONDS: Final = 0.1
# So many connect at a time; others are let in when these are.
CONNECTING: Final = 500


class Reader(asyncio.Protocol):
    """A client that reads what it is sent, notes how old it is, and keeps its last id."""

    def __init__(self, owner: str, ages: list[float]) -> None:
        self._owner = owner
        self._ages = ages
        self._transport: asyncio.Transport | None = None
        self._last_id = b""
        self.has_snapshot = False
        self.is_lost = False
        # How many changes it was told.
        self.told = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask, from the last id on where there is one."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.is_lost = transport, False
        header = b"Last-Event-ID: " + self._last_id + b"\r\n" if self._last_id else b""
        transport.write(f"GET {STREAM}{self._owner} HTTP/1.1\r\nHost: x\r\n".encode() + header + b"\r\n")

    def data_received(self, data: bytes) -> None:
        """Note what came."""
        self.has_snapshot = self.has_snapshot or b"event: snapshot" in data
        start = data.rfind(b"id: ") + 4
        end = data.find(b"\n", start)
        if 4 <= start < end:
            self._last_id = data[start:end]
        at = data.find(STAMP)
        while at >= 0:
            start = at + len(STAMP)
            self._ages.append(time.time() - int(data[start : start + STAMP_DIGITS]) / 1e9)
            self.told += 1
            at = data.find(STAMP, start)

    def connection_lost(self, _: Exception | None) -> None:
        """Note that nothing more comes."""
        self.is_lost = True

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.abort()


class Clients:
    """Many readers of one process, ten for each owner."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.ages: list[float] = []
        self._readers = [Reader(owner_of(number // CLIENTS_OF_AN_OWNER), self.ages) for number in range(count)]
        self._connecting = asyncio.Semaphore(CONNECTING)

    async def come(self, port: int) -> float:
        """Connect all, and return after how many seconds the last of them had its snapshot."""
        began = time.monotonic()
        await asyncio.gather(*(self._connect(reader, port) for reader in self._readers))
        await self._all(lambda reader: reader.has_snapshot, "all have their snapshot")
        return time.monotonic() - began

    async def come_again(self, port: int) -> None:
        """Connect those who were lost, each again and again, and return when each was told one more change."""
        told = [reader.told for reader in self._readers]
        await asyncio.gather(*(self._connect(reader, port) for reader in self._readers))

        async def are_told() -> bool:
            return all(reader.told > before for reader, before in zip(self._readers, told, strict=True))

        await until(are_told, "all are told again", WAIT_SECONDS)

    async def are_lost(self) -> None:
        """Return when all connections have ended."""
        await self._all(lambda reader: reader.is_lost, "all connections are lost")

    async def are_told(self, frames: int) -> None:
        """Return when so many frames have come."""

        async def enough() -> bool:
            return len(self.ages) >= frames

        await until(enough, "all was told", WAIT_SECONDS)

    def leave(self) -> None:
        """Close all connections."""
        for reader in self._readers:
            reader.close()

    async def _all(self, is_so: Callable[[Reader], bool], what: str) -> None:
        async def are_so() -> bool:
            return all(map(is_so, self._readers))

        await until(are_so, what, WAIT_SECONDS)

    async def _connect(self, reader: Reader, port: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with self._connecting:
                    await loop.create_connection(lambda: reader, HOST, port)
            except OSError:
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return


def owner_of(number: int) -> str:
    """Return the owner of a number."""
    return f"0x{number:04x}"


def part_of(sorted_values: Sequence[float], part: float) -> float:
    """Return the value below which this part of the values is."""
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * part))]


def resident_bytes(pid: int) -> int:
    """Return how much memory a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
