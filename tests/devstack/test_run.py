"""`python -m devstack run`: the whole system as a user sees it."""

import io
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devstack.ending import EXIT_DONE
from devstack.ports import LOCALHOST
from devstack.run import ANY_ADDRESS, OWNER, Options, children_environment, python_program, reachable
from devstack.screen import Screen
from devstack.stack import Devstack
from devstack.status_api import HTTP_OK, StatusApi
from worker.simulated_job import owner_address

END_LIMIT_SECONDS = 40.0
ANY_PORT = ("--kafka-port=0", "--redis-port=0", "--api-port=0", "--metrics-port=0")
SERVERS = ("kafka", "redis", "api", "projector")
PROGRAMS = (*SERVERS, "topics", "simulator")
PAGE = re.compile(r"page      http://127\.0\.0\.1:(\d+)/\?owner=(0x[0-9a-f]{40})   <- open this$")
ALL_FINISHED = re.compile(r"lag 0 · jobs \d+: \d+ finished$")

Start = Callable[..., tuple[subprocess.Popen[str], str]]
IsGone = Callable[[int], bool]
ChildrenOf = Callable[[int], list[int]]


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """Return the choices of somebody who takes any port."""
    return Options(tmp_path, kafka_port=0, redis_port=0, api_port=0, metrics_port=0, simulator=())


def environment(options: Options, **user: str) -> dict[str, str]:
    """Return what the programs find in theirs."""
    return children_environment(options, user, Devstack(options.directory), Screen(io.StringIO()))


def test_programs_find_the_servers_and_the_users_settings(options: Options) -> None:
    """Programs are told where the servers are; every other setting of the user reaches them as it is."""
    found = environment(options, REDIS_URL="redis://elsewhere", API_AUTH="required", LOG_FORMAT="json")
    assert found["REDIS_URL"].startswith("redis://127.0.0.1:")
    assert found["API_AUTH"] == "required"
    assert found["LOG_FORMAT"] == "json"
    assert found["API_HOST"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "expected"), [*((everywhere, LOCALHOST) for everywhere in sorted(ANY_ADDRESS)), ("10.1.2.3", "10.1.2.3")]
)
def test_an_api_that_listens_everywhere_is_reached_here(host: str, expected: str) -> None:
    """An address that means everywhere is printed as one that can be opened."""
    assert reachable(host) == expected


def test_programs_are_modules_of_this_python() -> None:
    """A program runs in the Python that runs this one."""
    program = python_program("projector", "projector", "run")
    assert program.arguments == (sys.executable, "-m", "projector", "run")


def test_the_owner_is_the_simulators_first() -> None:
    """The printed owner is the one whose jobs the simulator makes first."""
    assert owner_address(0) == OWNER


def read_until(process: subprocess.Popen[str], pattern: re.Pattern[str]) -> re.Match[str]:
    """Return the first line it prints that matches; the test's own limit ends a longer wait."""
    assert process.stdout
    printed = []
    for line in process.stdout:
        printed.append(line)
        if match := pattern.match(line):
            return match
    pytest.fail(f"it ended after printing {printed}")


@pytest.mark.server
@pytest.mark.long(15)
def test_jobs_run_to_their_end_and_ctrl_c_ends_everything(
    tmp_path: Path, start_python: Start, is_gone: IsGone, children_of: ChildrenOf
) -> None:
    """The printed page opens, the jobs of its owner are counted until they are finished, and Ctrl-C ends everything."""
    simulator = ("--jobs=2", "--owners=1", "--rate=50", "--pace=0.2")
    process, _ = start_python("-m", "devstack", "run", f"--directory={tmp_path}", *ANY_PORT, *simulator)
    page = read_until(process, PAGE)
    children = children_of(process.pid)
    api = StatusApi("127.0.0.1", int(page[1]))
    assert page[2] == OWNER
    assert api.get(f"/?owner={OWNER}").code == HTTP_OK
    read_until(process, ALL_FINISHED)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=END_LIMIT_SECONDS)
    assert process.returncode == EXIT_DONE
    assert len(children) >= len(SERVERS)
    assert all(map(is_gone, children))
    assert {log.name for log in (tmp_path / "logs").iterdir()} == {f"{name}.log" for name in PROGRAMS}
