"""`python -m worker publish`: one event from a shell."""

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import orjson
import pytest
from click.testing import CliRunner

from devstack import free_port
from operator_status.commands.publish import publish
from operator_status.errors import InvalidEventError
from operator_status.job import NAMES_IN_EVENTS
from schemas.decode import decode
from schemas.job_event import DETAIL_NAMES
from schemas.lifecycle import STAGE_NAMES
from tests.support.topics import read_topic
from tests.support.worker_process import run_worker
from worker.command_line import worker

PROJECT = Path(__file__).parents[2]
JOB = ("--owner=0x1111", "--agreement-id=0x2222", "--job-id=3333", "--source=/workers/gpu-7")


def dry_run(*arguments: str) -> dict[str, Any]:
    """Return the event that would be sent."""
    result = CliRunner().invoke(worker, ["publish", *arguments, "--dry-run"], catch_exceptions=False)
    assert result.exit_code == 0
    event: dict[str, Any] = orjson.loads(result.output)
    return event


def faults(*arguments: str) -> list[str]:
    """Return what is said about a report that is refused."""
    result = CliRunner().invoke(worker, ["publish", *arguments])
    assert isinstance(result.exception, InvalidEventError)
    return list(result.exception.faults)


def test_dry_run_prints_the_event() -> None:
    """A dry run prints the event with everything that was given, as one line of JSON."""
    event = dry_run(
        "finished",
        *JOB,
        "--attempt=2",
        "--configlog-url=http://example.net/c",
        "--publishlog-url=http://example.net/p",
        "--algolog-url=http://example.net/a",
        "--outputs-url=http://example.net/0",
        "--outputs-url=http://example.net/1",
        "--message=so far",
        "--outcome=failed",
        "--error=out of memory",
        "--time=2020-10-01T01:00:00Z",
    )
    assert re.fullmatch(r"[0-9a-f-]{36}", event.pop("id"))
    assert event == {
        "specversion": "1.0",
        "source": "/workers/gpu-7",
        "type": "operator.job.finished",
        "time": "2020-10-01T01:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "owner": "0x1111",
            "agreementId": "0x2222",
            "jobId": "3333",
            "attempt": 2,
            "configlogURL": "http://example.net/c",
            "publishlogURL": "http://example.net/p",
            "algologURL": "http://example.net/a",
            "outputsURL": ["http://example.net/0", "http://example.net/1"],
            "message": "so far",
            "outcome": "failed",
            "error": "out of memory",
        },
    }


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_every_stage(stage: str) -> None:
    """Each stage can be reported with nothing but the job's identity; the rest has defaults."""
    event = dry_run(stage, *JOB[:3])
    assert event["type"] == f"operator.job.{stage}"
    assert event["source"].startswith("/workers/")
    assert event["data"] == {"owner": "0x1111", "agreementId": "0x2222", "jobId": "3333", "attempt": 1}


def test_an_error_is_enough() -> None:
    """With an error and no outcome the job has failed, and the help says so."""
    event = dry_run("finished", *JOB, "--error=out of memory", "--time=2020-10-01T01:00:00Z")
    assert decode(orjson.dumps(event), (), -1).details == {"error": "out of memory", "outcome": "failed"}
    assert "failed when there is an --error" in publish.get_help(click.Context(publish, terminal_width=200))


def test_every_detail_has_an_option() -> None:
    """Whatever an event may carry can be given on the command line."""
    options = {parameter.name for parameter in publish.params}
    assert options >= set(NAMES_IN_EVENTS)
    assert set(NAMES_IN_EVENTS.values()) == set(DETAIL_NAMES)


def test_all_faults_at_once() -> None:
    """Everything that is missing or wrong is told together, by its name."""
    told = faults("running", "--owner=alice", "--attempt=x", "--outputs-url=/o", "--outcome=failed", "--time=soon")
    names = [fault.split(":")[0] for fault in told]
    assert names == ["outcome", "owner", "agreementId", "jobId", "attempt", "outputsURL", "time"]


def test_bad_input_ends_with_2() -> None:
    """Bad input ends the command with 2 and one line for each fault; no Kafka is needed to find out."""
    done = run_worker("publish", "started", "--owner=alice", "--job-id=3333")
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(":")[1].strip() for line in done.stderr.splitlines()] == ["owner", "agreementId"]


def test_an_unknown_stage_ends_with_2() -> None:
    """A stage that does not exist ends the command with 2 and the names of those that do."""
    done = run_worker("publish", "paused", *JOB)
    assert done.returncode == 2
    assert all(name in done.stderr for name in STAGE_NAMES)


def test_wrong_settings_end_with_2() -> None:
    """Wrong settings end the command with 2, all told together."""
    done = run_worker("publish", "started", *JOB, KAFKA_BOOTSTRAP_SERVERS="kafka", KAFKA_TOPIC="a b")
    assert done.returncode == 2
    assert "KAFKA_BOOTSTRAP_SERVERS" in done.stderr
    assert "KAFKA_TOPIC" in done.stderr


async def test_it_is_in_kafka(kafka: str, topic: str) -> None:
    """The command waits for the acknowledgement, and says where the event is, in one line."""
    done = run_worker("publish", "uploading", *JOB, "--message=50 %", KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_TOPIC=topic)
    assert (done.returncode, done.stderr) == (0, "")
    (record,) = await read_topic(kafka, topic)
    place = f"topic {topic}, partition {record.partition}, offset 0"
    assert done.stdout == f"uploading of job 3333 of 0x1111: acknowledged in {place}\n"
    assert record.key == b"3333"
    event = decode(record.value, record.headers, record.timestamp)
    assert (event.stage.name, event.source, event.details) == ("uploading", "/workers/gpu-7", {"message": "50 %"})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_output_that_is_full_does_not_hide_that_kafka_has_it(kafka: str, topic: str) -> None:
    """The exit code tells what became of the event; that nobody could be told is one more sentence."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "worker", "publish", "running", *JOB],
            env={"KAFKA_BOOTSTRAP_SERVERS": kafka, "KAFKA_TOPIC": topic},
            cwd=PROJECT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert len(asyncio.run(read_topic(kafka, topic))) == 1
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.endswith("offset 0; standard output could not be written: No space left on device")


def test_no_kafka_ends_with_75() -> None:
    """When Kafka cannot be reached in time, the command ends with 75, and says which address and what to do."""
    address = f"127.0.0.1:{free_port()}"
    done = run_worker("publish", "started", *JOB, KAFKA_BOOTSTRAP_SERVERS=address, START_TIMEOUT_SECONDS="1")
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr.count("\n") == 1
    assert address in done.stderr
    assert "start it, or set KAFKA_BOOTSTRAP_SERVERS" in done.stderr


def test_no_topic_ends_with_75(kafka: str) -> None:
    """When the topic is missing, the command ends with 75, and one line says how to create it."""
    done = run_worker("publish", "started", *JOB, KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_TOPIC="absent")
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr.count("\n") == 1
    assert "has no topic absent" in done.stderr
    assert "create it with `python -m projector topics create`" in done.stderr


@pytest.mark.parametrize("command", worker.commands)
def test_help(command: str) -> None:
    """Each command explains itself, and each of its options."""
    result = CliRunner().invoke(worker, [command, "--help"])
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 10
    options = [parameter for parameter in worker.commands[command].params if isinstance(parameter, click.Option)]
    assert all(option.help for option in options)


def test_many_from_standard_input() -> None:
    """Without a stage each line of standard input is a report; what a line does not say the options say."""
    lines = '{"stage": "running", "message": "ü", "jobId": "4"}\n\n{"stage": "finished", "attempt": 2, "error": "e"}\n'
    result = CliRunner().invoke(worker, ["publish", *JOB, "--dry-run", "--message=m"], input=lines)
    first, second = (orjson.loads(line) for line in result.output.splitlines())
    assert (first["type"], first["data"]["jobId"], first["data"]["message"]) == ("operator.job.running", "4", "ü")
    assert second["data"] == {
        "owner": "0x1111",
        "agreementId": "0x2222",
        "jobId": "3333",
        "attempt": 2,
        "message": "m",
        "error": "e",
    }


def test_all_faults_of_all_lines() -> None:
    """Lines that are wrong are told by their numbers, all together, and nothing is sent."""
    lines = (
        'rubbish\n[]\n{"stage": "paused"}\n{"stage": "running", "massage": "m"}\n{"stage": "running", "attempt": 0}\n'
    )
    result = CliRunner().invoke(worker, ["publish", *JOB], input=lines)
    assert isinstance(result.exception, InvalidEventError)
    told = [fault.split(": ")[:2] for fault in result.exception.faults]
    assert told == [
        ["line 1", "not JSON"],
        ["line 2", "not an object"],
        ["line 3", "stage"],
        ["line 4", "massage"],
        ["line 5", "attempt"],
    ]


def test_many_are_in_kafka(kafka: str, topic: str) -> None:
    """All of them are acknowledged, in their order, and one line says so."""
    lines = "".join(f'{{"stage": "running", "message": "{number}"}}\n' for number in range(2000))
    done = subprocess.run(
        [sys.executable, "-m", "operator_status", "publish", *JOB],
        env={"KAFKA_BOOTSTRAP_SERVERS": kafka, "KAFKA_TOPIC": topic, "PYTHONPATH": str(PROJECT)},
        input=lines,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"2000 reports: acknowledged in topic {topic}\n"
    messages = [orjson.loads(record.value)["data"]["message"] for record in asyncio.run(read_topic(kafka, topic))]
    assert messages == [str(number) for number in range(2000)]


def test_the_timeout() -> None:
    """An option bounds the wait for Kafka."""
    address = f"127.0.0.1:{free_port()}"
    before = time.monotonic()
    known = {"KAFKA_BOOTSTRAP_SERVERS": address, "START_TIMEOUT_SECONDS": "50"}
    done = run_worker("publish", "started", *JOB, "--timeout=0.5", **known)
    assert done.returncode == 75
    assert time.monotonic() - before < 30
