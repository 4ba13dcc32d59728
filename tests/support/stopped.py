"""A coroutine that is stopped at a point of its own while something is done to what it works with, and then goes on."""

import asyncio
import json
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from service.errors import CommandError
from tests.support.followers import fork_followers
from tests.support.points import Driven, Points
from tests.support.processes import fork_server

LIMIT_SECONDS: Final = 60.0
TOLD_TO_END: Final = "it was told to end, and did"
_POLL_SECONDS: Final = 0.01


@dataclass(frozen=True)
class Ended:
    """How it ended: after how many points, with which sentence if any; `fault` when it was no sentence."""

    points: int
    told: str = ""
    fault: str = ""


class _Stops(Points):
    def pass_one(self) -> None:
        """Count a point, and stop at the wanted one until somebody says to go on."""
        self.passed += 1
        if self.passed == self._wanted:
            os.kill(os.getpid(), signal.SIGSTOP)


def run_stopped(
    main: Callable[[], Coroutine[Any, Any, Any]], wanted: int = 0, meanwhile: Callable[[int], None] | None = None
) -> Ended:
    """Run a coroutine in a child process; at the wanted point `meanwhile` is done to its process, by its id."""
    server = fork_server()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as in points.py
        child = os.fork()
    if child == 0:
        os.close(reading)
        fork_followers(server)
        os.write(writing, json.dumps(_outcome(main, _Stops(wanted))).encode())
        os._exit(0)
    os.close(writing)
    is_over = _wait(child, meanwhile)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    if not is_over:
        return Ended(0, fault="it did not end")
    return Ended(*json.loads(said)) if said else Ended(0)


def _outcome(main: Callable[[], Coroutine[Any, Any, Any]], points: Points) -> tuple[int, str, str]:
    async def driven() -> None:
        await asyncio.create_task(Driven(main(), points))

    try:
        asyncio.run(driven())
    except CommandError as error:
        return points.passed, str(error), ""
    except KeyboardInterrupt:
        return points.passed, TOLD_TO_END, ""
    except BaseException:  # noqa: BLE001 - whatever it is, the test is told
        return points.passed, "", traceback.format_exc()
    return points.passed, "", ""


def _wait(child: int, meanwhile: Callable[[int], None] | None) -> bool:
    """Return once the child has ended; False when it had to be killed because it did not."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if ended and os.WIFSTOPPED(status):
            if meanwhile:
                meanwhile(child)
            os.kill(child, signal.SIGCONT)
        elif ended:
            return True
        time.sleep(_POLL_SECONDS)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False
