"""`python -m devstack up`, in a process of its own."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from devstack.ending import EXIT_DONE, EXIT_UNAVAILABLE
from devstack.kafka_probe import knows_a_broker
from devstack.lock import DirectoryLock
from devstack.ports import LOCALHOST
from devstack.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.group("devstack up")]

LIMIT_SECONDS = 30.0
ADDRESSES = re.compile(
    r"KAFKA_BOOTSTRAP_SERVERS=127\.0\.0\.1:(\d+)\nREDIS_URL=redis://127\.0\.0\.1:(\d+)/0\n",
)

Running = tuple[subprocess.Popen[str], str]
Start = Callable[..., Running]
IsGone = Callable[[int], bool]
ChildrenOf = Callable[[int], list[int]]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Share one directory, which later starts find filled."""
    return tmp_path_factory.mktemp("up")


@pytest.fixture
def up(start_python: Start, directory: Path) -> Running:
    """Start it on free ports and wait until both are ready."""
    ports = ("--kafka-port=0", "--redis-port=0")
    return start_python("-m", "devstack", "up", "--directory", str(directory), *ports, lines=2)


def test_it_prints_two_addresses_and_ends_on_sigterm(up: Running, is_gone: IsGone, children_of: ChildrenOf) -> None:
    """Both addresses are printed when both answer, and SIGTERM ends both, with exit code 0 and no more words."""
    process, printed = up
    addresses = ADDRESSES.fullmatch(printed)
    assert addresses
    assert knows_a_broker(LOCALHOST, int(addresses[1]))
    children = children_of(process.pid)
    process.terminate()
    assert process.communicate(timeout=LIMIT_SECONDS) == ("", "")
    assert process.returncode == EXIT_DONE
    assert all(map(is_gone, children))


def test_a_directory_has_one_stack(start_python: Start, tmp_path: Path) -> None:
    """A second one on the same directory is refused, and learns which process has it."""
    with DirectoryLock(tmp_path / "redis"):
        second, _ = start_python("-m", "devstack", "up", "--directory", str(tmp_path))
        assert f"is in use by process {os.getpid()}:" in second.communicate(timeout=LIMIT_SECONDS)[1]
    assert second.returncode == EXIT_UNAVAILABLE


def test_when_one_dies_it_says_so_and_ends_the_other(up: Running, is_gone: IsGone, children_of: ChildrenOf) -> None:
    """The death of Redis ends Kafka too, with exit code 75 and a sentence."""
    process, _ = up
    redis, kafka = sorted(children_of(process.pid))
    os.kill(redis, signal.SIGKILL)
    assert "Redis was ended by SIGKILL." in process.communicate(timeout=LIMIT_SECONDS)[1]
    assert process.returncode == EXIT_UNAVAILABLE
    assert is_gone(kafka)


def test_kill_9_leaves_nothing_behind(up: Running, is_gone: IsGone, children_of: ChildrenOf) -> None:
    """Kill -9 of the command ends Kafka and Redis."""
    process, _ = up
    children = children_of(process.pid)
    assert len(children) == 2
    process.kill()
    assert wait_until(lambda: all(map(is_gone, children)), LIMIT_SECONDS)


def test_a_wrong_option_is_bad_usage(start_python: Start) -> None:
    """A port that is none ends with exit code 2."""
    process, _ = start_python("-m", "devstack", "up", "--kafka-port=70000")
    assert "--kafka-port" in process.communicate(timeout=LIMIT_SECONDS)[1]
    assert process.returncode == 2
