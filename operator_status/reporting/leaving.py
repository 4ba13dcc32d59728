"""How a block is left, as the outcome of its job; and SIGTERM, which would end Python before the block is left."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from operator_status.errors import ReportError

_Undo = Callable[[], object]

_SIGNALLED: Final = 128  # what a shell adds to the number of the signal that ended a process
_ENDING: Final = (signal.SIGTERM, signal.SIGINT)
# Exit codes that say so: a shell's, and billiard's, in whose processes Celery runs its tasks.
_CODES_OF_ENDING: Final = frozenset({_SIGNALLED + number for number in _ENDING} | {number - 256 for number in _ENDING})


def outcome_of(error: BaseException | None) -> dict[str, Any]:
    """Return the outcome of a job whose block was left so, and the error's text."""
    if error is None or (isinstance(error, SystemExit) and error.code in {None, 0}):
        return {"outcome": "succeeded"}
    if isinstance(error, SystemExit):
        is_ended = isinstance(error.code, int) and error.code in _CODES_OF_ENDING
        return {"outcome": "cancelled"} if is_ended else {"outcome": "failed", "error": f"exit code {error.code}"}
    if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | GeneratorExit):
        return {"outcome": "cancelled"}
    return {"outcome": "failed", "error": f"{type(error).__name__}: {error}"}


@contextmanager
def beside(error: BaseException | None) -> Iterator[None]:
    """Let an error of a report be a note to the error that a block is left by, where there is one."""
    try:
        yield
    except ReportError as fault:
        if error is None:
            raise
        error.add_note(str(fault))


class Termination:
    """Lets SIGTERM leave a block by an exception, unless the program has a handler of its own."""

    def __init__(self) -> None:
        """Wait for `in_thread` or `in_loop`."""
        self.has_come = False
        self._undo: _Undo = _nothing

    def in_thread(self) -> None:
        """Raise SystemExit in the main thread."""
        if _is_free():
            signal.signal(signal.SIGTERM, self._leave)
            self._undo = _by_default

    def in_loop(self) -> None:
        """Cancel the present task."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        if not _is_free() or task is None:
            return

        def leave() -> None:
            self.has_come = True
            task.cancel()

        try:
            loop.add_signal_handler(signal.SIGTERM, leave)
        except (NotImplementedError, RuntimeError, ValueError):
            return
        self._undo = lambda: loop.remove_signal_handler(signal.SIGTERM)

    def over(self) -> None:
        """Let SIGTERM end the process as before."""
        undo, self._undo = self._undo, _nothing
        undo()

    def exit(self) -> SystemExit:
        """Return what ends the process as SIGTERM would have."""
        return SystemExit(_SIGNALLED + signal.SIGTERM)

    def _leave(self, _number: int, _frame: FrameType | None) -> None:
        self.has_come = True
        raise self.exit()


def _nothing() -> None:
    pass


def _by_default() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _is_free() -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
