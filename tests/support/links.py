"""TCP links that can be made to suffer: what stands between the programs and Kafka or Redis."""

import asyncio
from contextlib import suppress
from enum import Enum
from typing import Final

from devstack import free_port

HOST: Final = "127.0.0.1"
CHUNK_BYTES: Final = 65_536
PACKET_BYTES: Final = 1_500


class Direction(Enum):
    """Which way bytes go."""

    REQUESTS = "requests"
    REPLIES = "replies"


class _Connection:
    """A client's connection and the one made for it to the server; an abandoned one swallows every byte."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.is_abandoned = False
        self.client, self.server = client, server

    def abandon(self) -> None:
        """Leave the server; the client does not learn of it."""
        self.is_abandoned = True
        self.server.transport.abort()

    def abort(self) -> None:
        """Reset both ends."""
        self.client.transport.abort()
        self.server.transport.abort()


class Link:
    """An address that leads to another one.

    Faults last until `heal`, but `close_all` and `switch`, which are over at once.
    """

    def __init__(self, name: str, target_port: int = 0) -> None:
        self.name = name
        self.port = free_port()
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._gates = {direction: asyncio.Event() for direction in Direction}
        self._delay_seconds = 0.0
        self._bytes_per_second: float | None = None
        self._ways = {direction: asyncio.Lock() for direction in Direction}
        self._bytes_left: int | None = None
        self._accepted: set[asyncio.Task[None]] = set()
        self.heal()

    async def start(self) -> None:
        """Accept connections."""
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def stop(self) -> None:
        """Cut every connection and accept no more."""
        if self._server:
            self._server.close()
        self.heal()
        for accepted in self._accepted:
            accepted.cancel()
        await asyncio.gather(*self._accepted, return_exceptions=True)

    def switch(self, target_port: int) -> None:
        """Lead to another server from now on; connections to the old one are cut."""
        self._target_port = target_port
        self.close_all()

    def close_all(self) -> None:
        """Cut every connection."""
        for connection in tuple(self._connections):
            connection.abort()

    def stall(self, *directions: Direction) -> None:
        """Keep what goes that way (both ways when none is given) until the link is healed or cut."""
        for direction in directions or Direction:
            self._gates[direction].clear()

    def delay(self, seconds: float) -> None:
        """Let every piece of data arrive so much later."""
        self._delay_seconds = seconds

    def narrow(self, bytes_per_second: float) -> None:
        """Let no more pass each way, over all connections together."""
        self._bytes_per_second = bytes_per_second

    def cut_after(self, size_bytes: int) -> None:
        """Cut the connection over which the last of so many bytes goes, in the middle of what it says."""
        self._bytes_left = size_bytes

    def abandon_all(self) -> None:
        """Make every connection half-open: the server is gone, and the client hears nothing any more."""
        for connection in self._connections:
            connection.abandon()

    def heal(self) -> None:
        """End every fault; connections that were abandoned are cut."""
        for connection in tuple(self._connections):
            if connection.is_abandoned:
                connection.abort()
        for gate in self._gates.values():
            gate.set()
        self._delay_seconds = 0.0
        self._bytes_per_second = None
        self._bytes_left = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until one end closes it; whatever ends this, no end stays open."""
        task = asyncio.current_task()
        assert task
        self._accepted.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):  # asyncio would complain of a cancelled one
                far_reader, far_writer = await asyncio.open_connection(HOST, self._target_port)
                await self._serve(_Connection(writer, far_writer), reader, far_reader)
        finally:
            writer.transport.abort()
            self._accepted.discard(task)

    async def _serve(self, connection: _Connection, client: asyncio.StreamReader, server: asyncio.StreamReader) -> None:
        pumps = [
            asyncio.create_task(self._pump(connection, Direction.REQUESTS, client, connection.server)),
            asyncio.create_task(self._pump(connection, Direction.REPLIES, server, connection.client)),
        ]
        self._connections.add(connection)
        try:
            await asyncio.wait(pumps)
        finally:
            self._connections.discard(connection)
            connection.abort()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pass(self, size_bytes: int, direction: Direction) -> None:
        """Return when so much has passed a narrow link, on which connections take turns as packets do."""
        while self._bytes_per_second and size_bytes > 0:
            async with self._ways[direction]:
                await asyncio.sleep(min(size_bytes, PACKET_BYTES) / self._bytes_per_second)
            size_bytes -= PACKET_BYTES

    async def _pump(
        self, connection: _Connection, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                await self._pass(len(data), direction)
                await self._gates[direction].wait()
                if connection.is_abandoned:
                    continue
                if writer.is_closing():
                    break
                passed = data if self._bytes_left is None else data[: self._bytes_left]
                writer.write(passed)
                await writer.drain()
                if self._bytes_left is not None:
                    self._bytes_left -= len(passed)
                    if not self._bytes_left:
                        self._bytes_left = None
                        break
        if not connection.is_abandoned:
            connection.abort()
        elif direction is Direction.REPLIES:
            await asyncio.Event().wait()  # the server is gone; the client must not notice
