"""How a job's block is left is how the job ended, in plain Python and in asyncio."""

import json
import signal
from pathlib import Path

import pytest

from tests.support.spooled import left, script

pytestmark = pytest.mark.group("programs of workers")  # what forks them has imported once what they need

LIMIT_SECONDS = 60
HEAD = """
import asyncio, sys
from operator_status import JobReporter
def reporter_of(**others):
    return JobReporter(owner="0x1111", agreement_id="0x2222", job_id="3333", **others)
"""
PLAIN = HEAD + "with reporter_of() as job:\n    job.running()\n    print('up', flush=True)\n    {body}\n"
ASYNC = (
    HEAD
    + "async def main():\n    async with reporter_of() as reporter:\n        job = reporter\n        job.running()\n"
    "        print('up', flush=True)\n        {body}\nasyncio.run(main())\n"
)
KINDS = pytest.mark.parametrize("program", [PLAIN, ASYNC], ids=["plain", "asyncio"])


@KINDS
@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("pass", 0, {"outcome": "succeeded"}),
        ("sys.exit()", 0, {"outcome": "succeeded"}),
        ("sys.exit(3)", 3, {"outcome": "failed", "error": "exit code 3"}),
        ("sys.exit(143)", 143, {"outcome": "cancelled"}),
        ("raise ValueError('no such file')", 1, {"outcome": "failed", "error": "ValueError: no such file"}),
        ("raise KeyboardInterrupt", 130, {"outcome": "cancelled"}),
        ("raise asyncio.CancelledError", 1, {"outcome": "cancelled"}),
        ("job.finished(outcome='failed', error='mine')", 0, {"outcome": "failed", "error": "mine"}),
        ("raise ValueError('x' * 2000)", 1, {"outcome": "failed", "error": "ValueError: " + "x" * 987 + "…"}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_outcome(tmp_path: Path, program: str, body: str, code: int, told: dict[str, str]) -> None:
    """The last report says how the block was left; the program ends as it would have ended."""
    process = script(tmp_path, program.format(body=body))
    process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode in {code, -2 if code == 130 else code}
    assert left(tmp_path) == [{"stage": "running"}, {"stage": "finished", **told}]


@KINDS
def test_sigterm(tmp_path: Path, program: str) -> None:
    """SIGTERM leaves the block: the job's own cleaning up is done, it was cancelled, and the exit code tells."""
    # In steps: a signal that comes just before a sleep begins is seen by Python when that is over.
    wait = "await asyncio.sleep(60)" if program is ASYNC else "import time; [time.sleep(0.1) for _ in range(600)]"
    indent = " " * (8 if program is ASYNC else 4)
    body = f"try:\n{indent}    print('in', flush=True)\n{indent}    {wait}\n"
    body += f"{indent}finally:\n{indent}    print('cleaned up', flush=True)"
    process = script(tmp_path, program.format(body=body))
    assert process.stdout
    assert [process.stdout.readline() for _ in range(2)] == [b"up\n", b"in\n"]
    process.terminate()
    output, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert output == b"cleaned up\n"
    assert process.returncode == 128 + signal.SIGTERM
    assert left(tmp_path)[-1] == {"stage": "finished", "outcome": "cancelled"}


def test_a_handler_of_the_job_s_own_stays(tmp_path: Path) -> None:
    """A program that handles SIGTERM itself goes on doing so, and afterwards SIGTERM ends programs as before."""
    text = HEAD + (
        "import os, signal\n"
        "with reporter_of(): pass\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('mine'))\n"
        "with reporter_of(): os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    assert ended(tmp_path, text) == (0, b"mine\n")


def test_threads_and_processes_of_a_pool(tmp_path: Path) -> None:
    """Reports come from any thread, and from processes that were forked inside of the block."""
    text = HEAD + (
        "import multiprocessing, threading\n"
        "def uploading():\n"
        "    reporter.uploading(message='forked').result()\n"
        "with reporter_of(delivery_timeout_seconds=0.5) as reporter:\n"
        "    reporter.started()\n"
        "    thread = threading.Thread(target=reporter.running); thread.start(); thread.join()\n"
        "    child = multiprocessing.get_context('fork').Process(target=uploading); child.start(); child.join()\n"
    )
    process = script(tmp_path, text)
    _, errors = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0, errors
    stages = [event["stage"] for event in left(tmp_path)]
    assert sorted(stages) == ["finished", "running", "started", "uploading"]


def test_a_job_in_a_thread(tmp_path: Path) -> None:
    """A job may be a thread's: then SIGTERM is none of its business, and everything else is as ever."""
    text = HEAD + (
        "import threading\n"
        "def work():\n"
        "    with reporter_of() as reporter: reporter.running()\n"
        "thread = threading.Thread(target=work); thread.start(); thread.join()\n"
    )
    script(tmp_path, text).communicate(timeout=LIMIT_SECONDS)
    assert [event["stage"] for event in left(tmp_path)] == ["running", "finished"]


def test_synchronous_work_delays_nothing(tmp_path: Path) -> None:
    """A report of asyncio is on its way although the job's loop does not turn."""
    text = HEAD + (
        "import glob, os, time\n"
        "async def main():\n"
        "    async with reporter_of() as reporter:\n"
        "        reporter.running()\n"
        "        end = time.monotonic() + 30\n"
        "        while time.monotonic() < end and not glob.glob(os.environ['WORKER_SPOOL'] + '/*/*.json'): pass\n"
        "        print(len(glob.glob(os.environ['WORKER_SPOOL'] + '/*/*.json')))\n"
        "asyncio.run(main())\n"
    )
    assert ended(tmp_path, text) == (0, b"1\n")


def test_an_outcome_is_part_of_the_event(tmp_path: Path) -> None:
    """What is spooled is the event itself, as Kafka will get it."""
    script(tmp_path, PLAIN.format(body="pass")).communicate(timeout=LIMIT_SECONDS)
    events = [json.loads(path.read_bytes()) for path in tmp_path.glob("*/*.json")]
    assert {event["type"] for event in events} == {"operator.job.running", "operator.job.finished"}


def test_a_fork_is_not_the_job(tmp_path: Path) -> None:
    """A process that is forked in the block and leaves it says nothing of the job's end."""
    text = HEAD + (
        "import os\n"
        "with reporter_of() as reporter:\n"
        "    reporter.running()\n"
        "    if not os.fork(): sys.exit(3)\n"
        "    os.wait()\n"
        "    print(reporter._has_finished)\n"
    )
    assert ended(tmp_path, text) == (0, b"False\n")
    assert [event.get("outcome") for event in left(tmp_path)] == [None, "succeeded"]


def test_sigterm_that_the_job_handles(tmp_path: Path) -> None:
    """A job that catches what SIGTERM brings and ends well was cancelled all the same, and ends as it likes."""
    text = HEAD + (
        "import os, signal\n"
        "async def main():\n"
        "    async with reporter_of():\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        try: await asyncio.sleep(60)\n"
        "        except asyncio.CancelledError: print('saved')\n"
        "asyncio.run(main())\n"
    )
    assert ended(tmp_path, text) == (0, b"saved\n")
    assert left(tmp_path) == [{"stage": "finished", "outcome": "cancelled"}]


def ended(tmp_path: Path, text: str) -> tuple[int, bytes]:
    """Return the exit code and the output of a program that ends by itself."""
    process = script(tmp_path, text)
    output, _ = process.communicate(timeout=LIMIT_SECONDS)
    return process.returncode, output
