"""The processes that fold and compare what they are handed, so that reading Kafka and Redis does not wait for it."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Final, Generic, ParamSpec, TypeVar

from projector import cycles
from projector.operating import child_processes
from projector.operating.priority import make_way
from service.errors import CommandError

# Of fewer records the start of a process takes longer than it spares.
SMALL_LOG_RECORDS: Final = 20_000
# What each process has waiting beside what it works on.
_WAITING: Final = 1
# What is handed over goes through a pipe in pieces, by a thread that waits so long for each until Python lets it.
_LOOK_SECONDS: Final = 1.0
_SWITCH_SECONDS: Final = 0.0002

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


class Processes:
    """Does work elsewhere, values in, values out; without an executor it does it at once."""

    def __init__(self, executor: ProcessPoolExecutor | None, count: int) -> None:
        self._executor = executor
        # How much may be under way.
        self.most = count * (1 + _WAITING)

    def begin(self, work: Callable[Given, Answer], *given: Given.args, **named: Given.kwargs) -> asyncio.Future[Answer]:
        """Begin some work; raises, when its answer is waited for, CommandError if a process was killed."""
        loop = asyncio.get_running_loop()
        if self._executor is None:
            done: asyncio.Future[Answer] = loop.create_future()
            done.set_result(work(*given, **named))
            return done
        return loop.create_task(self._done(work, given))

    async def _done(self, work: Callable[..., Answer], given: tuple[Any, ...]) -> Answer:
        try:
            running = asyncio.get_running_loop().run_in_executor(self._executor, _worked, work, given)
            while not (await asyncio.wait({running}, timeout=_LOOK_SECONDS))[0]:
                if self._executor and any(not process.is_alive() for process in _of(self._executor)):
                    _kill(self._executor)
            return running.result()
        except BrokenProcessPool as error:
            raise CommandError(
                "a process that folded or compared was ended by somebody else, perhaps for want of memory: run verify "
                "again, with fewer --processes"
            ) from error


class UnderWay(Generic[Answer]):
    """Work that was begun, whose answers are taken in the order in which it was."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun: deque[asyncio.Future[Answer]] = deque()

    def add(self, begun: asyncio.Future[Answer]) -> None:
        """Add what was begun last."""
        self._begun.append(begun)

    async def take(self, *, all_of_it: bool = False) -> list[Answer]:
        """Return answers until so little is under way that more may be begun, or nothing."""
        taken = []
        while len(self._begun) > (0 if all_of_it else self._most):
            taken.append(await self._begun.popleft())
        return taken


@contextmanager
def processes(count: int | None, records: int) -> Iterator[Processes]:
    """Yield so many processes, which are started when they are needed; of none, what does the work at once.

    When nobody says how many it depends on how many records there are.
    """
    if count is None:
        count = child_processes.USUAL_PROCESSES if records >= SMALL_LOG_RECORDS else 0
    if not count:
        yield Processes(None, 0)
        return
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    executor = ProcessPoolExecutor(count, child_processes.PROCESSES, _begin)
    try:
        yield Processes(executor, count)
    finally:
        sys.setswitchinterval(before)
        _kill(executor)
        executor.shutdown(cancel_futures=True)


def _of(executor: ProcessPoolExecutor) -> list[Any]:
    return list((executor._processes or {}).values())  # noqa: SLF001 - there is no public way


def _kill(executor: ProcessPoolExecutor) -> None:
    """End all processes, and the wait for the rest of an answer in the midst of which one was killed.

    The executor would wait for ever: it holds the other end of that pipe open itself.
    """
    for process in _of(executor):
        process.kill()
    answers: Any = executor._result_queue  # noqa: SLF001 - as above
    if answers:
        answers._writer.close()  # noqa: SLF001 - as above


def _begin() -> None:
    child_processes.obey_parent()
    make_way()
    cycles.free_only_when_told()


def _worked(work: Callable[..., Answer], given: tuple[Any, ...]) -> Answer:
    answer = work(*given)
    cycles.free()
    return answer
