"""`python -m worker events`: events in a terminal."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from schemas.identity import JobIdentity
from schemas.job_event import JobEvent
from schemas.lifecycle import FINISHED, STAGES
from tests.support.worker_process import run_worker
from worker.events import View, Wanted, line
from worker.garbage import GARBAGE
from worker.simulation import Mix, events

END_LIMIT_SECONDS = 20.0
EVENT = JobEvent(JobIdentity("0xab", "0x2222", "3333", 1), STAGES[2], "2020-10-01T01:00:00.123456", "/w", "1", {})

Reading = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def reading(kafka: str, topic: str) -> Iterator[Reading]:
    """Start `python -m worker events` and wait until it reads."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", "events", *arguments],
            cwd=Path(__file__).parents[2],
            env={"PATH": "", "PYTHONUNBUFFERED": "1", "KAFKA_BOOTSTRAP_SERVERS": kafka, "KAFKA_TOPIC": topic},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stderr
        assert process.stderr.readline() == f"reading {topic}; Ctrl-C ends it\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def publish(kafka: str, topic: str) -> Callable[..., None]:
    """Report a stage of a job."""

    def report(stage: str, job_id: str, owner: str = "0x1111") -> None:
        job = (f"--owner={owner}", "--agreement-id=0x2222", f"--job-id={job_id}", "--time=2020-10-01T01:00:00Z")
        done = run_worker("publish", stage, *job, KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_TOPIC=topic)
        assert done.returncode == 0, done.stderr

    return report


def lines(process: "subprocess.Popen[str]", number: int) -> list[str]:
    """Return the next lines that a process prints."""
    assert process.stdout
    return [process.stdout.readline().rstrip("\n") for _ in range(number)]


def test_from_now_on(reading: Reading, publish: Callable[..., None]) -> None:
    """Each event that arrives is one line: time, job, stage in the contract's words, owner; none of the earlier."""
    publish("started", "earlier")
    process = reading()
    publish("running", "3333")
    assert lines(process, 1) == ["2020-10-01T01:00:00Z  3333  Running algorith  0x1111"]
    publish("finished", "3333")
    assert lines(process, 1) == ["2020-10-01T01:00:00Z  3333  Job finished  0x1111"]


def test_from_the_beginning_and_only_some(reading: Reading, publish: Callable[..., None]) -> None:
    """What is in Kafka already can be shown too, and only what is asked for; Ctrl-C ends it with 0 and a summary."""
    publish("started", "3333", owner="0xAB")
    publish("started", "4444", owner="0xCD")
    process = reading("--from-beginning", "--owner=0xaB")
    assert lines(process, 1) == ["2020-10-01T01:00:00Z  3333  Job started  0xab"]
    publish("uploading", "3333", owner="0xab")
    assert lines(process, 1) == ["2020-10-01T01:00:00Z  3333  Uploading results  0xab"]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=END_LIMIT_SECONDS)
    assert process.returncode == 0
    assert errors == "2 events shown, 1 of other jobs, 0 records that cannot be understood\n"


def test_garbage_is_counted() -> None:
    """Records that cannot be understood are counted by their reasons, and not shown."""
    seen = View(Wanted(None, None, "nobody"))
    records = list(events(1, 100, Mix(garbage=1)))
    for record in records:
        seen.see(SimpleNamespace(value=record.value, headers=record.headers, timestamp=1_800_000_000_000))
    garbage = sum(record.garbage is not None for record in records)
    not_json = sum(record.garbage is not None and GARBAGE[record.garbage].reason == "not-json" for record in records)
    assert seen.summary().startswith(
        f"0 events shown, {len(records) - garbage} of other jobs, {garbage} records that cannot be understood (empty-"
    )
    assert f", not-json {not_json}, " in seen.summary()


def test_no_topic(kafka: str) -> None:
    """Without the topic it ends with 75 and says how to create it."""
    done = run_worker("events", KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_TOPIC="absent")
    assert done.returncode == 75
    assert "python -m projector topics create" in done.stderr


@pytest.mark.parametrize(
    ("wanted", "is_shown"),
    [
        (Wanted(None, None, None), True),
        (Wanted("0xab", None, None), True),
        (Wanted("0xab", "0x2222", "3333"), True),
        (Wanted("0xcd", None, None), False),
        (Wanted("0xab", "0x2222", "4444"), False),
    ],
)
def test_all_filters_must_match(wanted: Wanted, is_shown: bool) -> None:  # noqa: FBT001 - a case's answer
    """Of several filters each must match, as in the HTTP query."""
    assert wanted.matches(EVENT) is is_shown


def test_attempt_and_outcome_are_shown() -> None:
    """A second attempt, and an end that was not a success, can be seen."""
    event = EVENT._replace(
        identity=EVENT.identity._replace(attempt=2), stage=FINISHED, details={"outcome": "failed", "error": "oops"}
    )
    assert line(event) == "2020-10-01T01:00:00Z  3333 (attempt 2)  Job finished (failed)  0xab"


def test_nothing_can_forge_a_line() -> None:
    """Identifiers are printed so that they cannot reverse the text or begin another line."""
    event = EVENT._replace(identity=EVENT.identity._replace(job_id="a\u202eb\u2028c"))
    assert line(event) == r"2020-10-01T01:00:00Z  a\u202eb\u2028c  Running algorith  0xab"
