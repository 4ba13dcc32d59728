"""Readers that take next to nothing of what they asked for, or nothing at all."""

import asyncio
import socket
from contextlib import suppress
from typing import Final

from tests.support.links import HOST
from tests.torture.clients.readers import STATUS_PATH
from tests.torture.clients.traffic import Traffic
from tests.torture.system.names import API
from tests.torture.system.system import System

DRIPPING: Final = 8
SILENT: Final = 8
DRIP_BYTES: Final = 1024
DRIP_SECONDS: Final = 1.0
RECEIVED_BYTES: Final = 4096
PATIENCE_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 1.0


class SlowReaders:
    """Asks for the longest list over many connections, and reads 1 KiB a second of each, or never anything."""

    def __init__(self, system: System, traffic: Traffic) -> None:
        self.asked = 0
        self._system = system
        self._traffic = traffic

    async def run(self) -> None:
        """Ask until cancelled; who is hung up on asks again."""
        async with asyncio.TaskGroup() as it:
            for number in range(DRIPPING + SILENT):
                it.create_task(self._ask_on(is_silent=number >= DRIPPING))

    async def _ask_on(self, *, is_silent: bool) -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            if self._traffic.largest_owner:
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        await self._ask(is_silent=is_silent)

    async def _ask(self, *, is_silent: bool) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
            connection.setblocking(False)  # noqa: FBT003
            await loop.sock_connect(connection, (HOST, self._system.ports[API]))
            question = f"GET {STATUS_PATH}?owner={self._traffic.largest_owner} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
            await loop.sock_sendall(connection, question.encode())
            self.asked += 1
            if is_silent:
                await asyncio.sleep(PATIENCE_SECONDS)
            while await loop.sock_recv(connection, DRIP_BYTES):  # noqa: ASYNC110 - slowness is what it is for
                await asyncio.sleep(DRIP_SECONDS)
