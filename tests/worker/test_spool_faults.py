"""A fault before each thing that a job does to its spool: what was on disk by then is on disk, or in Kafka."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import orjson
import pytest

from tests.support import forks
from tests.support.spooled import TOPIC, away
from tests.support.topics import read_topic

pytestmark = pytest.mark.group("programs with a spool")  # what forks them has imported once what they need

# In the suite every so many steps; SPOOL_STRIDE=1 takes all of them.
STRIDE = int(os.environ.get("SPOOL_STRIDE", "6"))
STEPS = 38  # what the job below does to its spool; a test holds it
DELIVERING_STEPS = 48
# A job that tells each report that is on disk (+), and each one before it is removed (-). It is killed, or its disk is
# full, at one of its steps: whatever opens, writes, lists, syncs, renames or removes something of the spool.
PROGRAM = """
import io, os, pathlib, sys, time
from operator_status import JobReporter
from operator_status.delivery.spool import Spool

folder, kind, at = sys.argv[1], sys.argv[2], int(sys.argv[3])
steps, kept, keep, remove, fsync = 0, 0, Spool.keep, Spool.remove, os.fsync

def fault(event, arguments):
    global steps
    if not event.startswith(("open", "os.")) or not any(folder in str(one) for one in arguments[:2]):
        return
    steps += 1
    if steps == at and kind == "killed":
        os.kill(os.getpid(), 9)
    if steps == at and kind == "full":
        raise OSError(28, "No space left on device")

def telling_keep(spool, report):
    global kept
    keep(spool, report)
    os.write(1, f"+{spool.path_of(report).name}\\n".encode())
    kept += 1

def telling_remove(spool, path):
    os.write(1, f"-{path.name}\\n".encode())
    remove(spool, path)

class Halves(io.FileIO):
    def write(self, data):
        begun = super().write(data[: len(data) // 2])
        sys.audit("os.write", folder)
        return begun + super().write(data[begun:])

def opened(path, mode="r"):
    return Halves(str(path), "x") if mode == "xb" else open(path, mode)

pathlib.Path.open = opened
Spool.keep, Spool.remove = telling_keep, telling_remove
os.fsync = lambda file: (sys.audit("os.fsync", folder), fsync(file))
sys.addaudithook(fault)
limit = float(sys.argv[4])
with JobReporter(owner="0x1111", agreement_id="0x2222", job_id="3333", delivery_timeout_seconds=limit) as job:
    for number in range(4):
        job.running(message=str(number))
        for _ in range(100):
            if kept <= number:
                time.sleep(0.005)
os.write(1, f"={steps}\\n".encode())
"""


def run(spool: Path, kind: str, step: int, seconds: float = 0.1, **kafka: str) -> tuple[int, list[str], bytes]:
    """Run the job with a fault at a step; return its exit code, what it told, and its standard error."""
    done = forks.run(("-c", PROGRAM, str(spool), kind, str(step), str(seconds)), away(spool, **kafka))
    return done.returncode, done.stdout.decode().splitlines(), done.stderr


def whole(spool: Path, topic: str = TOPIC) -> set[str]:
    """Return the names of the reports on disk; AssertionError when one is not whole."""
    paths = list((spool / topic).glob("*.json"))
    assert all(orjson.loads(path.read_bytes())["data"]["jobId"] == "3333" for path in paths)
    return {path.name for path in paths}


def on_disk(told: Sequence[str]) -> set[str]:
    """Return what must be on disk: what was told to be, and not yet to be removed."""
    return {line[1:] for line in told if line[0] == "+"} - {line[1:] for line in told if line[0] == "-"}


def test_how_many_steps_there_are(tmp_path: Path) -> None:
    """The faults below come at every step there is, and at few that are not."""
    code, told, _ = run(tmp_path, "none", 0)
    assert code == 0
    assert STEPS - 10 <= int(told[-1].removeprefix("=")) <= STEPS


@pytest.mark.parametrize("step", range(1, STEPS + 1, STRIDE))
def test_killed_at_each_step(tmp_path: Path, step: int) -> None:
    """Killed at any step, a job loses nothing that was on disk, and no file is there by half."""
    code, told, _ = run(tmp_path, "killed", step)
    assert code in {-9, 0}
    assert on_disk(told) <= whole(tmp_path)


@pytest.mark.parametrize("step", range(2, STEPS + 1, STRIDE))
def test_a_full_disk_at_each_step(tmp_path: Path, step: int) -> None:
    """Out of room at any step, a job ends as ever, loses nothing that was on disk, and leaves nothing by half."""
    code, told, errors = run(tmp_path, "full", step)
    assert (code, b"Traceback" in errors) == (0, False)
    assert on_disk(told) <= whole(tmp_path)
    assert list((tmp_path / TOPIC).glob("*.tmp")) == []


@pytest.mark.parametrize("step", range(3, DELIVERING_STEPS + 1, STRIDE * 2))
async def test_killed_at_each_step_while_kafka_takes_them(kafka: str, topic: str, tmp_path: Path, step: int) -> None:
    """Killed at any step, all that was ever on disk is there still, or is in Kafka."""
    servers = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "KAFKA_TOPIC": topic}
    code, told, _ = run(tmp_path, "killed", step, 30, **servers)
    assert code in {-9, 0}
    ids = {orjson.loads(record.value)["id"] for record in await read_topic(kafka, topic)}
    gone = {line[1:].partition(".")[0] for line in told if line[0] == "+"} - {
        name.partition(".")[0] for name in whole(tmp_path, topic)
    }
    outweighed = {line[1:].partition(".")[0] for line in told if line[0] == "-"}
    assert gone <= ids | outweighed


def test_several_jobs_share_a_spool(tmp_path: Path) -> None:
    """Jobs that use one spool at a time, of which some are killed, lose nothing of their own and nothing of others."""
    with ThreadPoolExecutor() as several:
        ended = list(several.map(partial(run, tmp_path, "killed"), (0, 9, 17, 26)))
    assert ended[0][0] == 0
    assert [code for code, _, _ in ended].count(-9) >= 2
    assert set().union(*(on_disk(told) for _, told, _ in ended)) <= whole(tmp_path)
