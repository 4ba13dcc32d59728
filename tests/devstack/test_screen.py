"""What a terminal shows, and what a file gets instead."""

import io

import pytest

from devstack.screen import CLEAR_LINE, Screen


class Terminal(io.StringIO):
    """Text that claims to be a terminal."""

    def isatty(self) -> bool:
        """Claim it."""
        return True


def test_on_a_terminal_one_line_is_rewritten() -> None:
    """The live line is replaced in place, and stays at the end below what is said."""
    terminal = Terminal()
    with Screen(terminal) as screen:
        screen.show("jobs 1")
        screen.show("jobs 2")
        screen.say("api starts again")
    assert terminal.getvalue() == f"jobs 1{CLEAR_LINE}jobs 2{CLEAR_LINE}api starts again\njobs 2\n"


def test_on_a_terminal_the_live_line_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A live line never wraps: one that does could not be replaced."""
    monkeypatch.setenv("COLUMNS", "20")
    terminal = Terminal()
    Screen(terminal).show("jobs " + "9" * 100)
    assert len(terminal.getvalue()) == 19


def test_elsewhere_a_plain_line_comes_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file gets a plain line when its time has come, and no control characters."""
    times = iter([0.0, 0.0, 4.9, 5.1, 5.1])
    monkeypatch.setattr("devstack.screen.time.monotonic", lambda: next(times))
    file = io.StringIO()
    with Screen(file) as screen:
        for line in ("jobs 1", "jobs 2", "jobs 3"):
            screen.show(line)
    assert file.getvalue() == "jobs 1\njobs 3\n"
