"""Logs: pleasant for people, exact for machines, and forged by nobody."""

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from service.console_line import console_line
from service.logs import configure_logs

FORGED = "x\r\n2020-10-01T01:00:00.000Z error    forged\x1b[31m\u2028\u202e\x85\x0b"
FORMATS = ["console", "json"]
TEXT = st.text(st.characters())


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def log_of(name: str = "projector.app") -> Any:
    """Return a logger that takes the present configuration."""
    return structlog.get_logger(name)


def test_a_line_for_people_says_when_how_grave_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    """On the console a line reads from left to right: time, level, sentence, details."""
    configure_logs("console")
    log_of().info("caught up", partition="job-events/0", lag_events=0, took_seconds=0.5, remark="a b", cause=None)
    line = capsys.readouterr().err
    time, level, rest = line.split(" ", 2)
    assert (len(time), time[10], time[-1], level) == (24, "T", "Z", "info")
    assert rest.split(maxsplit=0)[0].strip() == (
        "caught up partition=job-events/0 lag_events=0 took_seconds=0.5 remark='a b' cause=None logger=projector.app"
    )


def test_a_line_for_machines_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON a line is one object with the same parts."""
    configure_logs("json")
    log_of().warning("held", partition="job-events/0", lag_events=3)
    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp")[10] == "T"
    assert line == {
        "event": "held",
        "level": "warning",
        "partition": "job-events/0",
        "lag_events": 3,
        "logger": "projector.app",
    }


@pytest.mark.parametrize("log_format", FORMATS)
def test_text_from_outside_cannot_forge_a_line(
    log_format: Literal["console", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    """Line breaks and terminal escapes in a sentence, a value or a library's message stay on their line, escaped."""
    configure_logs(log_format)
    log_of().info(FORGED, value=FORGED, raw=FORGED.encode(), items=[FORGED])
    logging.getLogger("aiokafka.consumer").warning("from %s", FORGED)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_a_traceback_stands_behind_a_margin(capsys: pytest.CaptureFixture[str]) -> None:
    """The text of an exception cannot be taken for lines of the log."""
    configure_logs("console")
    log_of().error("failed", exc_info=ValueError(FORGED))
    first, *rest = capsys.readouterr().err.splitlines()
    assert " error    failed " in first
    assert rest[0] == "    | ValueError: x"
    assert len(rest) > 1
    assert all(line.startswith("    | ") and line.isprintable() for line in rest)


def test_a_traceback_is_one_value_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON an exception is in the line of its event."""
    configure_logs("json")
    log_of().error("failed", exc_info=ValueError(FORGED))
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: x" in json.loads(line)["exception"]


@given(st.dictionaries(st.text(min_size=1), TEXT | st.binary() | st.integers() | st.none()), TEXT)
def test_any_event_is_one_printable_line(details: dict[str, Any], what: str) -> None:
    """Whatever an event holds, its line is one line of printable characters that begins with its time."""
    event = {**details, "timestamp": "2020-10-01T01:00:00.123456Z", "level": "info", "event": what}
    event.pop("exception", None)
    line = console_line(event, has_colours=False)
    assert line.isprintable()
    assert line.startswith("2020-10-01T01:00:00.123Z info     ")


def test_only_the_gravest_lines_are_coloured() -> None:
    """On a terminal warnings and errors stand out; without one there is no escape at all."""
    for level, is_coloured in (("info", False), ("warning", True), ("error", True), ("critical", True)):
        event = {"timestamp": "2020-10-01T01:00:00.123456Z", "level": level, "event": "x"}
        assert ("\x1b[" in console_line(event, has_colours=True)) == is_coloured
        assert "\x1b[" not in console_line(event, has_colours=False)


@pytest.mark.parametrize(("no_colour", "has_colours"), [("", True), ("1", False)])
def test_colours_are_for_terminals_that_want_them(
    no_colour: str,
    has_colours: bool,  # noqa: FBT001
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A terminal gets colours unless NO_COLOR is set."""
    monkeypatch.setenv("NO_COLOR", no_colour)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    configure_logs("console")
    log_of().error("failed")
    assert ("\x1b[31m" in capsys.readouterr().err) == has_colours


def test_libraries_are_quieter_than_we_are(capsys: pytest.CaptureFixture[str]) -> None:
    """What aiokafka tells of its every step is left out, its warnings are not."""
    configure_logs("console")
    logging.getLogger("aiokafka.consumer").info("a step")
    logging.getLogger("aiokafka.consumer").warning("a warning")
    logging.getLogger("projector").debug("a detail")
    assert [line.split()[2:4] for line in capsys.readouterr().err.splitlines()] == [["a", "warning"]]
