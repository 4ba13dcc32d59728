"""What a fork does that runs tests: it takes from those that are left, and tells what becomes of them."""

import asyncio
import os
import random
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from ctypes import c_long
from dataclasses import dataclass
from multiprocessing import Value
from multiprocessing.connection import Connection
from typing import Any, Final, NoReturn

import pytest

from tests.support.machine import become_one_of

# What a process that hangs is told, so that it tells what each of its tasks waits for.
TELL_TASKS: Final = signal.SIGUSR2

Unit = Sequence[pytest.Item]
Location = tuple[str, int | None, str]


@dataclass(frozen=True)
class Begun:
    """Tells of a test that begins, and for how long nothing may be heard of it."""

    nodeid: str
    location: Location
    silent_seconds: float


@dataclass(frozen=True)
class Failure:
    """Tells why a process ends that should not."""

    trace: str


class Deal:
    """Deals out the tests, to whichever process asks next."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = units
        self._next = Value(c_long, 0)

    def __iter__(self) -> Iterator[pytest.Item]:
        """Yield what is next, unit by unit, until all have been dealt out."""
        while True:
            with self._next.get_lock():
                number = self._next.value
                self._next.value = number + 1
            if number >= len(self._units):
                return
            yield from self._units[number]

    def end(self) -> None:
        """Deal out no more."""
        self._next.value = len(self._units)


def become_fork(session: pytest.Session, deal: Deal, told: Connection, number: int, count: int) -> NoReturn:
    """Run tests in this process, one of so many, until none is left, and end it.

    What is done at the end of all tests the first process does.
    """
    status = 1
    try:
        os.setpgid(0, 0)  # Ctrl-C is for the first process, which passes it on once
        signal.signal(TELL_TASKS, lambda *_: told.send(Failure("\n".join(_tasks()))))
        random.seed()
        become_one_of(number, count)
        _begin(session.config, number, _Teller(session.config, told.send))
        _run(iter(deal))
        told.send(None)
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, it ends here
        with suppress(OSError):
            told.send(Failure(traceback.format_exc()))
        with suppress(BaseException):
            session._setupstate.teardown_exact(None)  # noqa: SLF001 - as pytest itself does when it is interrupted
    finally:
        os._exit(status)


def _begin(config: pytest.Config, number: int, teller: "_Teller") -> None:
    """Have what a process has for itself: where it captures output, and where its temporary directories are."""
    plugins = config.pluginmanager
    plugins.unregister(name="terminalreporter")
    plugins.register(teller)
    if capture := plugins.getplugin("capturemanager"):
        capture.stop_global_capturing()
        capture.start_global_capturing()
        capture.suspend_global_capture()
    factory: Any = config._tmp_path_factory  # type: ignore[attr-defined] # noqa: SLF001 - pytest has no other way
    factory._basetemp = factory.getbasetemp() / f"fork{number}"  # noqa: SLF001
    factory._basetemp.mkdir(mode=0o700, exist_ok=True)  # noqa: SLF001 - another one had it, if that died


def _run(items: Iterator[pytest.Item]) -> None:
    item = next(items, None)
    while item:
        following = _Following(items)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        item = following.item


class _Following:
    """The test that comes next: which one it is, is decided when the one before it is over.

    To take it earlier would be to keep it from the others while that one runs, which may be for minutes.
    """

    def __init__(self, items: Iterator[pytest.Item]) -> None:
        self._items = items
        self.item: pytest.Item | None = None

    def listchain(self) -> list[Any]:
        """Return what it needs: pytest asks for that when it takes down all else."""
        self.item = next(self._items, None)
        return self.item.listchain() if self.item else []


def _tasks() -> Iterator[str]:
    """Yield what each task of the event loop waits for: its own stack would end at its first coroutine."""
    with suppress(RuntimeError):
        for task in asyncio.all_tasks():
            yield task.get_name()
            awaited: Any = task.get_coro()
            while frame := getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None):
                yield f"  {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
                awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
            yield f"  {awaited!r}"


def _silent_seconds(item: pytest.Item) -> float:
    """Return for how long nothing may be heard of a test: its own limit, and time for what it uses."""
    marker = item.get_closest_marker("timeout")
    limit = marker.args[0] if marker else item.config.option.timeout or item.config.getini("timeout")
    return float(limit) + float(item.config.option.fixture_seconds)


class _Teller:
    """Tells the first process what becomes of tests."""

    def __init__(self, config: pytest.Config, tell: Callable[[Any], None]) -> None:
        self._config = config
        self._tell = tell

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Tell of a test that begins."""
        self._tell(Begun(item.nodeid, item.location, _silent_seconds(item)))
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell of a step of a test."""
        self._tell(self._config.hook.pytest_report_to_serializable(config=self._config, report=report))
