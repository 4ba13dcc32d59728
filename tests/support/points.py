"""Points in the code at which a process can be made to die, found by running the code, not picked by hand.

Every task of the apply path is driven through a wrapper that counts. A point lies before a task goes on from an await
(what it waited for has happened) and after it has arrived at the next one (what it asks for is on its way).
"""

import asyncio
import os
import signal
import warnings
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from projector.app import run_projector
from projector.settings import ProjectorSettings
from tests.support.followers import fork_followers
from tests.support.processes import fork_server

# Coroutines whose awaits are points: the loop, the step that applies a batch, the letters it waits for.
APPLY_PATH = ("Projector.", "Generation.", "DeadLetterWriter.", "Sender.")


class Points:
    """Counts the points passed, and ends the process, as SIGKILL does, at the one that is wanted."""

    def __init__(self, wanted: int) -> None:
        self.passed = 0
        self._wanted = wanted

    def pass_one(self) -> None:
        """Count a point; does not return from the wanted one."""
        self.passed += 1
        if self.passed == self._wanted:
            os.kill(os.getpid(), signal.SIGKILL)


class Driven(Coroutine[Any, Any, Any]):
    """A coroutine that passes a point before and after each of its steps."""

    def __init__(self, driven: Coroutine[Any, Any, Any], points: Points) -> None:
        self._driven = driven
        self._points = points

    def send(self, value: Any) -> Any:
        """Go on to the next await."""
        self._points.pass_one()
        try:
            return self._driven.send(value)
        finally:
            self._points.pass_one()

    def throw(self, *error: Any) -> Any:
        """Go on with an error."""
        return self._driven.throw(*error)

    def close(self) -> None:
        """End it."""
        self._driven.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        """Be awaited like the coroutine itself."""
        return self._driven.__await__()


def run_in_child(main: Callable[[Points], Coroutine[Any, Any, None]], wanted: int = 0) -> tuple[int, int]:
    """Run a coroutine in a child process until it is over, or the process dies at the wanted point.

    Returns the number of points passed, 0 when it was killed, and the signal that ended it, 0 when none did.
    """
    server = fork_server()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # From Python 3.12 on a fork beside other threads is warned of; those of clients hold no lock here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reading)
        fork_followers(server)
        points = Points(wanted)
        try:
            asyncio.run(main(points))
        finally:
            os.write(writing, str(points.passed).encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        passed = int(pipe.read() or 0)
    _, status = os.waitpid(child, 0)
    return passed, os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


async def project(settings: ProjectorSettings, is_done: Callable[[], bool], points: Points) -> None:
    """Run a projector until everything is applied; the awaits of its apply path are points."""
    if is_done():
        return
    loop = asyncio.get_running_loop()

    def create(loop: asyncio.AbstractEventLoop, task: Any, **options: Any) -> asyncio.Task[Any]:
        if getattr(task, "__qualname__", "").startswith(APPLY_PATH):
            task = Driven(task, points)
        return asyncio.Task(task, loop=loop, **options)

    loop.set_task_factory(create)
    projecting = asyncio.create_task(run_projector(settings))
    while not is_done() and not projecting.done():  # noqa: ASYNC110 - a condition in Redis
        await asyncio.sleep(0.005)
    os.kill(os.getpid(), signal.SIGTERM)
    await projecting
