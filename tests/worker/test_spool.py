"""Reports on disk: what a job could not deliver is delivered later, whatever ends it."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from operator_status import JobReporter
from operator_status.delivery.spool import Spool, SpoolFullError
from operator_status.event import ReportedJob, make_report
from tests.support import forks
from tests.support.deployment import wait_for
from tests.support.spooled import COMMAND, JOB, away, execute, left, script
from tests.support.topics import read_topic

pytestmark = pytest.mark.group("programs with a spool")  # what forks them has imported once what they need

LIMIT_SECONDS = 60
# A job in ten steps, each of which it tells.
STEPS = """
import sys, time
from operator_status import JobReporter
with JobReporter(owner="0x1111", agreement_id="0x2222", job_id="3333") as job:
    job.started()
    for step in range(10):
        job.running(message=f"step {step}")
        print(step, flush=True)
        sys.stdin.readline()
"""


def report(number: int = 0, size: int = 0) -> Any:
    """Return some report."""
    job = ReportedJob("0x1111", "0x2222", str(number), 1, "/workers/gpu-7")
    urls = ["http://example.net/" + "p" * 1000] * (size // 1000)
    return make_report(job, "running", {"outputsURL": urls})


async def delivered(kafka: str, topic: str) -> list[tuple[str, str]]:
    """Return outcome and message of each event in the topic, with its stage."""
    events = [orjson.loads(record.value) for record in await read_topic(kafka, topic)]
    return [(event["type"].rpartition(".")[2], event["data"].get("message", "")) for event in events]


def deliver(kafka: str, topic: str, spool: Path, *options: str) -> "subprocess.CompletedProcess[bytes]":
    """Run `status-worker deliver`."""
    environment = away(spool, KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_TOPIC=topic)
    return forks.run(("-m", "operator_status", "deliver", *options), environment)


async def test_a_job_whose_kafka_is_away_all_its_life(kafka: str, topic: str, tmp_path: Path) -> None:
    """It ends with its own exit code, on time, and what became of it arrives later; nothing is left on disk."""
    before = time.monotonic()
    process = execute(tmp_path, "sh", "-c", "exit 3", options=("--wait=120",), KAFKA_TOPIC=topic)
    process.communicate()
    assert (process.returncode, time.monotonic() - before < LIMIT_SECONDS) == (3, True)
    done = deliver(kafka, topic, tmp_path)
    assert (done.returncode, done.stdout) == (0, b"3 reports delivered\n")
    assert sorted(await delivered(kafka, topic)) == [("finished", ""), ("running", ""), ("started", "")]
    assert list((tmp_path / topic).glob("*.json")) == []
    assert deliver(kafka, topic, tmp_path).stdout == b"0 reports delivered\n"


async def test_the_next_job_delivers(kafka: str, topic: str, tmp_path: Path) -> None:
    """What a job left is delivered by the next reporter on the machine, beside its own reports."""
    execute(tmp_path, "true", KAFKA_TOPIC=topic).communicate()
    with JobReporter(
        owner="0x1", agreement_id="a", job_id="next", bootstrap_servers=kafka, topic=topic, spool_directory=tmp_path
    ) as job:
        job.started()
        wait_for(lambda: not list((tmp_path / topic).glob("*.json")), "the spool is empty")
    keys = [record.key for record in await read_topic(kafka, topic)]
    assert sorted(keys) == [b"3333"] * 3 + [b"next"] * 2


@pytest.mark.parametrize("step", range(0, 10, 3))
def test_killed_at_any_step(tmp_path: Path, step: int) -> None:
    """A job that is killed loses at most what it had just reported; no file is there by half."""
    process = script(tmp_path, STEPS)
    assert process.stdin
    assert process.stdout
    for number in range(step + 1):
        assert process.stdout.readline() == f"{number}\n".encode()
        if number < step:
            wait_for(partial(is_told, tmp_path, f"step {number}"), "the report is on disk")
            process.stdin.write(b"\n")
            process.stdin.flush()
    process.kill()
    process.communicate()
    told = messages(tmp_path)
    assert not step or f"step {step}" in told or f"step {step - 1}" in told


def is_told(spool: Path, message: str) -> bool:
    """Tell whether a report with this message is on disk."""
    return message in messages(spool)


def messages(spool: Path) -> list[str]:
    """Return the messages that are on disk, in the order of their times; none while a file is being replaced."""
    try:
        return [event.get("message", "") for event in left(spool)]
    except FileNotFoundError:
        return []


@pytest.mark.parametrize("fault", ["mkdir", "scandir", "open", "fsync", "replace"])
@pytest.mark.parametrize("kind", ["kill", "full"])
def test_a_fault_at_each_step_of_writing(tmp_path: Path, fault: str, kind: str) -> None:
    """Killed, or out of room, before each step of writing a report: what was written before stays, and is whole."""
    spool = Spool(tmp_path, "topic")
    spool.keep(report(1))
    end = (
        "os.kill(os.getpid(), 9)" if kind == "kill" else "(_ for _ in ()).throw(OSError(28, 'No space left on device'))"
    )
    place = {"mkdir": "pathlib.Path", "open": "pathlib.Path", "replace": "pathlib.Path"}.get(fault, "os")
    text = (
        "import os, pathlib, sys\nfrom operator_status.delivery.spool import Spool\n"
        "from operator_status.event import ReportedJob, make_report\n"
        f"{place}.{fault} = lambda *_, **__: {end}\n"
        "try:\n"
        "    report = make_report(ReportedJob('0x1', 'a', '2', 1, '/w'), 'running', {})\n"
        f"    Spool({str(tmp_path)!r}, 'topic').keep(report)\n"
        "except OSError as error: sys.exit(error.errno)\n"
    )
    code = forks.run(("-c", text), {}).returncode
    assert code == (-signal.SIGKILL if kind == "kill" else errno.ENOSPC)
    assert [one.key for one in spool.left()] == [b"1"]
    spool.keep(report(3))
    assert sorted(one.key for one in spool.left()) == [b"1", b"3"]
    unfinished = [path for path in (tmp_path / "topic").iterdir() if path.suffix == ".tmp"]
    assert len(unfinished) == (kind == "kill" and fault in {"fsync", "replace"})
    for path in unfinished:
        os.utime(path, (0, 0))
    with spool.lock() as is_ours:
        assert is_ours
    assert not any(path.exists() for path in unfinished)


async def test_killed_while_it_delivers(kafka: str, topic: str, tmp_path: Path) -> None:
    """Killed after Kafka has a report and before it is removed, it is sent once more: the same event, twice."""
    execute(tmp_path, "true", KAFKA_TOPIC=topic).communicate()
    text = (
        "import os, sys\nfrom operator_status.delivery.spool import Spool\n"
        "from operator_status.commands.command_line import run\n"
        "Spool.remove = lambda *_: os.kill(os.getpid(), 9)\nsys.argv[1:] = ['deliver']\nrun()\n"
    )
    killed = script(tmp_path, text, KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_TOPIC=topic)
    killed.communicate(timeout=LIMIT_SECONDS)
    assert killed.returncode == -signal.SIGKILL
    assert deliver(kafka, topic, tmp_path).returncode == 0
    ids = [orjson.loads(record.value)["id"] for record in await read_topic(kafka, topic)]
    assert len(ids) > len(set(ids)) == 3


def test_a_full_disk_is_told_and_harms_nothing(tmp_path: Path) -> None:
    """A job that can write no file at all says so, keeps its reports in memory, and ends with its own exit code."""
    command = [*COMMAND, "exec", *JOB, "--wait=0.5", "--", "sh", "-c", "exit 3"]
    limited = ["sh", "-c", 'ulimit -f 0; exec "$@"', "limited", *command]
    process = subprocess.Popen(limited, env=away(tmp_path), stderr=subprocess.PIPE)
    _, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 3
    assert b"reports cannot be written to the spool" in errors
    assert left(tmp_path) == []


def test_a_spool_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its number of reports, or of bytes, nothing is written, and what is there stays."""
    monkeypatch.setattr("operator_status.delivery.spool.MAX_SPOOLED_REPORTS", 2)
    spool = Spool(tmp_path, "topic")
    spool.keep(report(1))
    spool.keep(report(2))
    with pytest.raises(SpoolFullError, match="2 reports are in"):
        spool.keep(report(3))
    monkeypatch.setattr("operator_status.delivery.spool.MAX_SPOOLED_REPORTS", 9)
    monkeypatch.setattr("operator_status.delivery.spool.MAX_SPOOL_BYTES", 10_000)
    with pytest.raises(SpoolFullError):
        spool.keep(report(3, size=10_000))
    assert sorted(one.key for one in spool.left()) == [b"1", b"2"]


def test_what_is_no_report_is_set_aside(tmp_path: Path) -> None:
    """A file that holds no report stops nothing: it is renamed, and stays for somebody to see."""
    spool = Spool(tmp_path, "topic")
    spool.keep(report(1))
    for number, content in enumerate([b"", b"rubbish", b"[]", b"{}", b"[" * 100_000, b" " * 300_000]):
        (tmp_path / "topic" / f"{number}.json").write_bytes(content)
    (tmp_path / "topic" / "folder.json").mkdir()
    assert [one.key for one in spool.left()] == [b"1"]
    assert len(list((tmp_path / "topic").glob("*.damaged"))) == 6


def test_one_process_at_a_time_sends_what_others_left(tmp_path: Path) -> None:
    """The lock is one process', and ends with it however it ends."""
    spool = Spool(tmp_path, "topic")
    spool.keep(report())
    text = (
        "from operator_status.delivery.spool import Spool\n"
        f"with Spool({str(tmp_path)!r}, 'topic').lock() as is_ours: print(is_ours, flush=True); input()\n"
    )
    holder = script(tmp_path, text)
    assert holder.stdout
    assert holder.stdout.readline() == b"True\n"
    with spool.lock() as is_ours:
        assert not is_ours
    holder.kill()
    holder.communicate()
    with spool.lock() as is_ours:
        assert is_ours


def test_deliver_says_why_not(tmp_path: Path) -> None:
    """Without a spool it ends with 2; while Kafka is away with 75, its cause, and everything stays."""
    execute(tmp_path, "true").communicate()
    done = deliver("127.0.0.1:1", "job-events", tmp_path, "--timeout=1")
    assert (done.returncode, len(left(tmp_path))) == (75, 3)
    assert b"nobody listens on 127.0.0.1:1" in done.stderr
    done = forks.run(("-m", "operator_status", "deliver"), away(tmp_path) | {"WORKER_SPOOL": ""})
    assert (done.returncode, b"WORKER_SPOOL" in done.stderr) == (2, True)


def test_deliver_watches(kafka: str, topic: str, tmp_path: Path) -> None:
    """It goes on sending what jobs leave, and ends when it is asked to."""
    environment = away(tmp_path, KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_TOPIC=topic)
    watching = forks.Fork(("-m", "operator_status", "deliver", "--watch"), environment, stdout=subprocess.PIPE)
    for _ in range(2):
        execute(tmp_path, "true", KAFKA_TOPIC=topic).communicate()
        wait_for(lambda: not list((tmp_path / topic).glob("*.json")), "what the job left is sent")
    watching.terminate()
    watching.communicate(timeout=LIMIT_SECONDS)
    assert watching.returncode == 0
    assert len(asyncio.run(delivered(kafka, topic))) == 6


def test_files_are_events(tmp_path: Path) -> None:
    """Each file holds the event as Kafka will get it, for whoever wants to look."""
    execute(tmp_path, "true").communicate()
    for path in tmp_path.glob("*/*.json"):
        assert json.loads(path.read_text())["data"]["jobId"] == "3333"


def test_what_cannot_be_removed_is_not_sent_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that this process may not remove, as in a folder of somebody else's, is left to others."""
    spool = Spool(tmp_path, "topic")
    spool.keep(report(1))

    def refuse(_: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    (one,) = spool.left()
    spool.remove(one.path)
    assert not spool.has_left()
    assert Spool(tmp_path, "topic").has_left()
