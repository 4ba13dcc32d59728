"""The supervisor, with small stand-ins for the programs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devstack import supervisor as module
from devstack.errors import ChildDiedError, NotReadyError
from devstack.supervisor import Program, Supervisor
from devstack.waiting import wait_until

LIMIT_SECONDS = 15.0
# Ends with 75 the first two times, as a service does that cannot reach what it needs.
THIRD_TIME_LUCKY = """
import os, sys
from pathlib import Path
tries = Path(os.environ["TRIES"])
tries.write_text(tries.read_text() + "x")
if len(tries.read_text()) < 3:
    sys.exit(75)
"""
STAY = "import time; time.sleep(60)"

PythonChild = Callable[[str], list[str]]


class Stage:
    """A supervisor and what it said."""

    def __init__(self, directory: Path) -> None:
        """Keep everything in that directory."""
        self.tries = directory / "tries"
        self.tries.write_text("")
        self.said: list[str] = []
        self.logs = directory / "logs"
        self.supervisor = Supervisor(self.logs, {"TRIES": str(self.tries)}, self.said.append)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Make a supervisor that is quick to start things again."""
    monkeypatch.setattr(module, "FIRST_BACKOFF_SECONDS", 0.01)
    made = Stage(tmp_path)
    with made.supervisor:
        yield made


def test_a_program_that_exits_with_75_starts_again(stage: Stage, python_child: PythonChild) -> None:
    """A program that cannot reach what it needs is started again, slower each time, until it can."""
    stage.supervisor.start(Program("projector", python_child(THIRD_TIME_LUCKY + STAY)))
    assert stage.supervisor.wait_until(lambda: len(stage.tries.read_text()) == 3, LIMIT_SECONDS)
    log_path = stage.logs / "projector.log"
    assert stage.said == [
        f"projector ended with exit code 75, it starts again in {wait} s (see {log_path})" for wait in ("0.01", "0.02")
    ]


def test_a_program_that_ends_is_run_until_it_succeeds(stage: Stage, python_child: PythonChild) -> None:
    """A program that is to end is run again until its exit code is 0, and then no more."""
    stage.supervisor.run_to_end(Program("topics", python_child(THIRD_TIME_LUCKY), ends=True), LIMIT_SECONDS)
    stage.supervisor.tend()
    assert stage.tries.read_text() == "xxx"


def test_a_program_that_does_not_end_in_time_is_an_error(stage: Stage, python_child: PythonChild) -> None:
    """A program that is to end and does not is given up at its limit."""
    with pytest.raises(NotReadyError, match=r"topics was not ready within 0\.2 s"):
        stage.supervisor.run_to_end(Program("topics", python_child(STAY), ends=True), 0.2)


def test_bad_usage_is_not_tried_again(stage: Stage, python_child: PythonChild) -> None:
    """A program that refuses its settings (exit code 2) is given up at once, and its log is shown."""
    stage.supervisor.start(Program("api", python_child("import sys; print('API_AUTH: no such mode'); sys.exit(2)")))
    with pytest.raises(ChildDiedError, match="API_AUTH: no such mode") as error:
        stage.supervisor.wait_until(lambda: False, LIMIT_SECONDS)
    assert str(stage.logs / "api.log") in str(error.value)


def test_a_hopeless_program_is_given_up(
    stage: Stage, python_child: PythonChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that dies again and again is given up after a number of deaths in a row."""
    monkeypatch.setattr(module, "MOST_DEATHS_IN_A_ROW", 3)
    stage.supervisor.start(Program("api", python_child("raise SystemExit('no')")))
    with pytest.raises(ChildDiedError, match="no"):
        stage.supervisor.wait_until(lambda: False, LIMIT_SECONDS)
    assert len(stage.said) == 2


def test_the_latest_program_ends_first(stage: Stage, python_child: PythonChild) -> None:
    """Programs are ended one after the other, those that need others before the others."""
    tell = (
        "import os, signal, sys, time\n"
        "def end(*_):\n open(os.environ['TRIES'], 'a').write(sys.argv[1]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('ready')\n" + STAY
    )
    for name in ("a", "b", "c"):
        stage.supervisor.start(Program(name, [*python_child(tell), name]))
        log_path = stage.logs / f"{name}.log"
        assert wait_until(lambda path=log_path: "ready" in path.read_text(), LIMIT_SECONDS)  # type: ignore[misc]
    stage.supervisor.stop()
    assert stage.tries.read_text() == "cba"
