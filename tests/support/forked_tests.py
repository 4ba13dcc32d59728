"""Tests run by several forks of one process, which has collected them: `-p tests.support.forked_tests --forks 2`.

Each process of pytest-xdist imports and collects all tests by itself, a third of what the fast tests cost. A
fork has them. Everything else is as with one process: what becomes of each test is told to that one, which reports it.
"""

import os
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from ctypes import c_long
from dataclasses import dataclass
from multiprocessing import Value
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

import pytest

from tests.support.machine import use_own_ports

Unit = Sequence[pytest.Item]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Have `--forks`."""
    parser.addoption("--forks", type=int, default=0, help="Run the tests in so many forks.")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run what was collected in forks; leave it to others without `--forks`, and where there is nothing to run."""
    count = session.config.option.forks
    if not count or session.config.option.collectonly or session.testsfailed:
        return None
    if reporter := session.config.pluginmanager.getplugin("terminalreporter"):
        reporter.showfspath = False  # tests of many files are told in turns
    deal = _Deal(_units(session.items))
    forks = [_fork(session, deal, number, count) for number in range(count)]
    try:
        _listen(session, {fork.connection: fork for fork in forks}, deal)
    finally:
        deal.end()
        for fork in forks:
            fork.connection.close()
            os.waitpid(fork.pid, 0)
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    return True


@dataclass
class _Fork:
    """A process that runs tests, our end of the pipe to it, and the test that it is at."""

    pid: int
    connection: Connection
    at: str = ""


class _Deal:
    """Deals out the tests, to whichever process asks next."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._units = units
        self._next = Value(c_long, 0)

    def take(self) -> Unit:
        """Return the tests that are next; none when all have been dealt out."""
        with self._next.get_lock():
            number = self._next.value
            self._next.value = number + 1
        return self._units[number] if number < len(self._units) else ()

    def end(self) -> None:
        """Deal out no more."""
        self._next.value = len(self._units)


def _units(items: Sequence[pytest.Item]) -> list[Unit]:
    """Return the tests in their order, those of a group together."""
    units: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        group = item.get_closest_marker("xdist_group")
        units[group.args[0] if group else item.nodeid].append(item)
    return list(units.values())


def _fork(session: pytest.Session, deal: _Deal, number: int, count: int) -> _Fork:
    ours, theirs = Pipe(duplex=False)
    pid = os.fork()
    if pid:
        theirs.close()
        return _Fork(pid, ours)
    status = 1
    try:
        random.seed()
        use_own_ports(number, count)
        _begin(session.config, number, _Teller(session.config, theirs.send))
        _run(deal)
        theirs.send(None)
        status = 0
    finally:
        os._exit(status)  # what is done at the end of all tests the first process does


def _begin(config: pytest.Config, number: int, teller: "_Teller") -> None:
    """Have what a process has for itself: where it captures output, and where its temporary directories are."""
    plugins = config.pluginmanager
    plugins.unregister(name="terminalreporter")
    plugins.register(teller)
    if capture := plugins.getplugin("capturemanager"):
        capture.stop_global_capturing()
        capture.start_global_capturing()
        capture.suspend_global_capture()
    factory: Any = config._tmp_path_factory  # type: ignore[attr-defined] # noqa: SLF001 - as pytest-xdist does
    factory._basetemp = factory.getbasetemp() / f"fork{number}"  # noqa: SLF001
    factory._basetemp.mkdir(mode=0o700)  # noqa: SLF001


def _run(deal: _Deal) -> None:
    unit = deal.take()
    while unit:
        following = deal.take()
        for item, after in zip(unit, [*unit[1:], following[0] if following else None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        unit = following


class _Teller:
    """Tells the first process what becomes of tests."""

    def __init__(self, config: pytest.Config, tell: Callable[[Any], None]) -> None:
        self._config = config
        self._tell = tell

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        """Tell of a test that begins."""
        self._tell((nodeid, location))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell of a step of a test."""
        self._tell(self._config.hook.pytest_report_to_serializable(config=self._config, report=report))


def _listen(session: pytest.Session, forks: dict[Any, _Fork], deal: _Deal) -> None:
    """Report what the forks tell, until each has said that it is at its end."""
    hook = session.config.hook
    while forks:
        for connection in wait(list(forks)):
            fork = forks[connection]
            try:
                told = fork.connection.recv()
            except EOFError:
                raise session.Interrupted(f"a process ended while it ran {fork.at}") from None
            if told is None:
                del forks[connection]
            elif isinstance(told, tuple):
                fork.at = told[0]
                hook.pytest_runtest_logstart(nodeid=told[0], location=told[1])
            else:
                report = hook.pytest_report_from_serializable(config=session.config, data=told)
                hook.pytest_runtest_logreport(report=report)
            if session.shouldfail:
                deal.end()
