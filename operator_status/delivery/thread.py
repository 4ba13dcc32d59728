"""A thread with an event loop of its own, so that reports are sent whatever the job's own thread is doing."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any


class LoopThread:
    """Runs one coroutine; `notice` wakes from any thread whoever in it waits for `noticed`."""

    def __init__(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Prepare it."""
        self._main = main
        self._pulse = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.ended: Future[None] = Future()

    def start(self) -> None:
        """Begin. At the end of the process nobody waits for this thread."""
        loop = asyncio.new_event_loop()
        try:
            threading.Thread(target=self._run, args=(loop,), name="reports to Kafka", daemon=True).start()
        except RuntimeError:
            loop.close()
            raise
        self._loop = loop

    def notice(self) -> None:
        """Wake whoever waits for news."""
        with suppress(RuntimeError):  # it has ended meanwhile
            if self._loop:
                self._loop.call_soon_threadsafe(self._wake)

    async def noticed(self) -> None:
        """Return at the next news; what was looked at before this call without a pause has missed none."""
        await self._pulse.wait()

    def _wake(self) -> None:
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.set_default_executor(_UnwaitedThreads())
            loop.run_until_complete(self._main())
        finally:
            loop.close()
            self.ended.set_result(None)


class _UnwaitedThreads(ThreadPoolExecutor):
    """Runs each call in a thread that nobody joins: a name server that does not answer must not hold the process."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call."""
        future: Future[Any] = Future()

        def run() -> None:
            try:
                outcome = call(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is told to whoever asked
                future.set_exception(error)
            else:
                future.set_result(outcome)

        threading.Thread(target=run, daemon=True).start()
        return future
