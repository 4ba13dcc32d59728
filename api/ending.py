"""How the API ends: it drains first, so that whoever deals out requests has turned elsewhere before nobody listens.

States: running -> SIGTERM -> draining -> over, once the time to drain has passed or another signal comes. SIGINT is a
person who waits: running -> over.
"""

import asyncio
import signal

DRAINING = "this process was asked to end and takes its last requests"


class Ending:
    """Whether this process was asked to end, and how far that is."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._over = asyncio.Event()

    @property
    def is_asked(self) -> bool:
        """Whether it was asked to end: every answer is then the last one on its connection."""
        return self._asked.is_set()

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be waited for any more but the requests at hand."""
        return self._over.is_set()

    def listen(self) -> None:
        """Be asked by SIGTERM and SIGINT from here on."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.ask)
        loop.add_signal_handler(signal.SIGINT, self.hurry)

    def ask(self) -> None:
        """Begin to drain; asked once more, hurry."""
        if self.is_asked:
            self._over.set()
        self._asked.set()

    def hurry(self) -> None:
        """End without draining."""
        self._asked.set()
        self._over.set()

    async def asked(self) -> None:
        """Return when it was asked to end."""
        await self._asked.wait()

    async def over(self, seconds: float | None = None) -> None:
        """Return when it is over, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return

    async def check(self) -> str | None:
        """Say on `/readyz` that no more requests should come."""
        return DRAINING if self.is_asked else None
