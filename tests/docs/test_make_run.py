"""`make run`, as somebody types it who has just read the README."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack import free_port
from tests.support.brokers import environment_for_programs
from tests.support.deployment import get, wait_for
from tests.support.markdown import PROJECT, README, blocks

pytestmark = [pytest.mark.server, pytest.mark.long(20)]

LIMIT_SECONDS = 100
END_SECONDS = 40.0
OLDER_THAN_ITS_MARK = ("requirements.lock", "pyproject.toml", "operator_status/pyproject.toml")
ADDRESS = re.compile(r"http://[^\s']+")
JOBS = re.compile(r"lag \d+ · jobs \d+: .*")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which everything is installed already, and nothing has been started yet."""
    (tmp_path / "operator_status").mkdir()
    for name in (*OLDER_THAN_ITS_MARK, "Makefile"):
        (tmp_path / name).symlink_to(PROJECT / name)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


@pytest.fixture
def running(checkout: Path) -> Iterator[subprocess.Popen[str]]:
    """`make run` in a terminal of its own, which is closed after the test."""
    ports = {"API_PORT": str(free_port()), "METRICS_PORT": str(free_port())}
    process = subprocess.Popen(
        ["make", "run"],
        cwd=checkout,
        env=os.environ | environment_for_programs() | ports | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=END_SECONDS)


@pytest.mark.timeout(2 * LIMIT_SECONDS)
def test_make_run_shows_jobs_that_finish_and_ctrl_c_leaves_nothing(running: subprocess.Popen[str]) -> None:
    """It prints what the README shows; the page opens, jobs finish in the API, and Ctrl-C ends every process."""
    shown = lines_until_jobs(running)
    assert [anything_goes(line) for line in shown] == [anything_goes(line) for line in lines_of_the_readme()]
    page, query = (ADDRESS.search(line) for line in shown[:2])
    assert page
    assert query
    assert urllib.request.urlopen(page[0]).status == 200
    wait_for(lambda: "Job finished" in texts(query[0]), "a job finishes", LIMIT_SECONDS)
    started = descendants(running.pid)
    assert len(started) > 5
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=END_SECONDS)
    wait_for(lambda: not started & set(processes()), f"the end of {started}", END_SECONDS)


def lines_of_the_readme() -> list[str]:
    """Return what the README says `make run` prints."""
    following = [block.text for block in blocks(README)]
    return following[following.index("make run\n") + 1].splitlines()


def lines_until_jobs(process: subprocess.Popen[str]) -> list[str]:
    """Return the lines that it prints from the page's address to the first count of several jobs."""
    assert process.stdout
    lines: list[str] = []
    for line in process.stdout:
        if line.startswith("page") or (lines and not line.startswith("lag")):
            lines.append(line.rstrip("\n"))
        if JOBS.match(line):
            return [*lines, line.rstrip("\n")]
    pytest.fail("it ended before it was ready")


def anything_goes(line: str) -> str:
    """Return the line without what differs from run to run: ports and counts."""
    return JOBS.sub("JOBS", re.sub(r":\d+", ":PORT", line))


def texts(query: str) -> set[str]:
    """Return the statuses that the API shows."""
    address, _, path = query.partition("/api/")
    return {job["statusText"] for job in get(address, "/api/" + path)[2]}


def descendants(pid: int) -> set[int]:
    """Return the process and all that it started, directly or not."""
    children = {child for child, parent in processes().items() if parent == pid}
    return {pid}.union(*(descendants(child) for child in children))


def processes() -> dict[int, int]:
    """Return the parent of every living process."""
    ps = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    rows = (line.split() for line in ps.stdout.splitlines())
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}
