"""A link to a server that a test without an event loop of its own can switch, stall and cut."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.links import HOST, Link


class RunningLink:
    """A link that runs in a thread of its own."""

    def __init__(self, link: Link, loop: asyncio.AbstractEventLoop) -> None:
        self._link = link
        self._loop = loop

    @property
    def redis_url(self) -> str:
        """The address of the link, for clients of Redis."""
        return f"redis://{HOST}:{self._link.port}/0"

    def do(self, action: Callable[[Link], None]) -> None:
        """Do something to the link and return when it is done."""

        async def act() -> None:
            action(self._link)

        asyncio.run_coroutine_threadsafe(act(), self._loop).result()


@contextmanager
def linked(port: int) -> Iterator[RunningLink]:
    """Yield a link that leads to this port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    link = Link("a link", port)
    try:
        asyncio.run_coroutine_threadsafe(link.start(), loop).result()
        yield RunningLink(link, loop)
    finally:
        asyncio.run_coroutine_threadsafe(link.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
