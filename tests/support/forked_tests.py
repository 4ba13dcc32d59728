"""Tests run by several forks of one process, which has collected them: `-p tests.support.forked_tests --forks 2`.

Processes that import and collect all tests by themselves spend seconds on it, each of them. A fork has them. Everything
else is as with one process: what becomes of each test is told to that one, which reports it.

A fork that dies fails the test that it was at, and what it had still to run is run by forks that come after it. So does
one that is ended because nothing was heard of it for far longer than a test may take: fixtures have no other limit.
Ctrl-C reaches the first process alone, which has the forks take down what they have set up.
"""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Final

import pytest

from tests.support.fork_of_tests import TELL_TASKS, Begun, Deal, Failure, Unit, become_fork

END_SECONDS: Final = 60.0  # for a test that is interrupted, and for taking down what it uses
_POLL_SECONDS: Final = 0.05
_LOOK_SECONDS: Final = 1.0
_TELL_SECONDS: Final = 5.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Have `--forks`, and what belongs to it."""
    parser.addoption("--forks", type=int, default=0, help="Run the tests in so many forks.")
    parser.addoption("--fixture-seconds", type=float, default=120, help="How long what a test uses may take.")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run what was collected in forks; leave it to others without `--forks`, and where there is nothing to run."""
    count = session.config.option.forks
    if not count or session.config.option.collectonly or session.testsfailed:
        return None
    if reporter := session.config.pluginmanager.getplugin("terminalreporter"):
        reporter.showfspath = False  # tests of many files are told in turns
    left: Sequence[pytest.Item] = session.items
    while left and not (session.shouldfail or session.shouldstop):
        begun = _run_in_forks(session, left, count)
        left = [item for item in left if item.nodeid not in begun]
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
    return True


def _run_in_forks(session: pytest.Session, items: Iterable[pytest.Item], count: int) -> set[str]:
    """Run tests, and return those that have begun: all, unless forks died or somebody said that it is enough."""
    deal = Deal(_units(items))
    told = _Told(session)
    forks: list[_Fork] = []
    for number in range(count):
        forks.append(_fork(session, deal, number, count, forks))
    try:
        told.listen(forks, deal)
    except BaseException:
        for fork in forks:
            fork.interrupt()
        raise
    finally:
        deal.end()
        _await_end(forks)
    return told.begun


def _units(items: Iterable[pytest.Item]) -> list[Unit]:
    """Return the tests in their order, those of a group together."""
    units: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        group = item.get_closest_marker("group")
        units[group.args[0] if group else item.nodeid].append(item)
    return list(units.values())


@dataclass
class _Fork:
    """A process that runs tests, our end of the pipe to it, and what it told last."""

    pid: int
    connection: Connection
    at: Begun | None = None
    failure: str = ""
    heard: float = field(default_factory=time.monotonic)

    def is_silent(self) -> bool:
        """Say whether nothing was heard of it for so long that it hangs."""
        return self.at is not None and time.monotonic() > self.heard + self.at.silent_seconds

    def abort(self) -> None:
        """End it with all that it has started, and have it tell where it was."""
        os.kill(self.pid, TELL_TASKS)
        told = self.connection.recv() if self.connection.poll(_TELL_SECONDS) else None
        tasks = told.trace if isinstance(told, Failure) else ""
        self.failure = f"nothing was heard of it for {self.at.silent_seconds:g} s\n{tasks}" if self.at else ""
        os.kill(self.pid, signal.SIGABRT)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        os.killpg(self.pid, signal.SIGKILL)

    def interrupt(self) -> None:
        """Have it end what it is at, and take down what that uses."""
        os.kill(self.pid, signal.SIGINT)

    def has_ended(self) -> bool:
        """Say whether it has ended; it is not asked again then."""
        return os.waitpid(self.pid, os.WNOHANG)[0] != 0

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _fork(session: pytest.Session, deal: Deal, number: int, count: int, earlier: Iterable[_Fork]) -> _Fork:
    ours, theirs = Pipe(duplex=False)
    pid = os.fork()
    if not pid:
        for connection in (ours, *(fork.connection for fork in earlier)):
            connection.close()  # when the first process is gone nobody listens, and to tell fails
        become_fork(session, deal, theirs, number, count)
    theirs.close()
    return _Fork(pid, ours)


def _await_end(forks: Iterable[_Fork]) -> None:
    """Wait until all have ended, and end those that take too long or for which somebody does not want to wait."""
    deadline = time.monotonic() + END_SECONDS
    left = list(forks)
    try:
        while (left := [fork for fork in left if not fork.has_ended()]) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    finally:
        for fork in left:
            fork.kill()
        for fork in forks:
            fork.connection.close()


class _Told:
    """Reports what the forks tell."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self.begun: set[str] = set()

    def listen(self, forks: Iterable[_Fork], deal: Deal) -> None:
        """Listen to all of them until each is at its end."""
        listening: dict[Any, _Fork] = {fork.connection: fork for fork in forks}
        while listening:
            for connection in wait(list(listening), _LOOK_SECONDS):
                if not self._hear(listening[connection]):
                    del listening[connection]
            for connection, fork in list(listening.items()):
                if fork.is_silent():
                    fork.abort()
                    self._report_death(fork)
                    del listening[connection]
                if self._session.shouldfail or self._session.shouldstop:
                    deal.end()

    def _hear(self, fork: _Fork) -> bool:
        """Report what a fork tells; False when that was the last."""
        hook = self._session.config.hook
        fork.heard = time.monotonic()
        try:
            told = fork.connection.recv()
        except EOFError:
            self._report_death(fork)
            return False
        if isinstance(told, Begun):
            fork.at = told
            self.begun.add(told.nodeid)
            hook.pytest_runtest_logstart(nodeid=told.nodeid, location=told.location)
        elif isinstance(told, Failure):
            fork.failure = told.trace
        elif told:
            report = hook.pytest_report_from_serializable(config=self._session.config, data=told)
            hook.pytest_runtest_logreport(report=report)
        return told is not None

    def _report_death(self, fork: _Fork) -> None:
        """Have the test fail at which a fork was when it ended."""
        if not fork.at:
            raise self._session.Interrupted(f"a process ended before it ran any test\n{fork.failure}")
        report = pytest.TestReport(
            nodeid=fork.at.nodeid,
            location=fork.at.location,
            keywords={},
            outcome="failed",
            longrepr=f"a process ended while it ran {fork.at.nodeid}\n{fork.failure}",
            when="call",
        )
        self._session.config.hook.pytest_runtest_logreport(report=report)
