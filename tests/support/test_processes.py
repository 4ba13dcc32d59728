"""A fork does what the same program does when Python starts it."""

import signal
import urllib.request
from pathlib import Path

import pytest

from devstack import free_port
from tests.support.deployment import wait_for
from tests.support.processes import Forked, Start, started

NOBODY = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1/0"}
REPORT = ("--owner=0x1", "--agreement-id=0x2", "--job-id=3", "--source=/w", "--time=2020-10-01T01:00:00Z", "--dry-run")
END_SECONDS = 20.0

pytestmark = pytest.mark.server  # the fork server is one, and so is the API


def outcome(start: Start, directory: Path, module: str, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a program to its end and return its exit code, what it printed, and its errors."""
    output, errors = directory / f"{start.__name__}.output", directory / f"{start.__name__}.errors"
    code = start(module, arguments, environment, output, errors).wait(END_SECONDS)
    return code, output.read_text(), errors.read_text()


@pytest.mark.parametrize(
    ("command", "environment", "expected"),
    [
        (("projector", "--help"), {}, 0),
        (("worker", "publish", "started", *REPORT), {}, 0),
        (("projector", "run"), {"KAFKA_TOPIC": "a b", "REDIS_URL": "?"}, 2),
        (("api", "--no-such-option"), {}, 2),
        (("projector", "generations", "list"), NOBODY | {"START_TIMEOUT_SECONDS": "0.1"}, 75),
    ],
)
def test_a_fork_ends_as_python_does(
    tmp_path: Path, command: tuple[str, ...], environment: dict[str, str], expected: int
) -> None:
    """However a program is started its exit code, what it prints and its errors are the same."""
    forked, by_python = (outcome(start, tmp_path, *command, **environment) for start in (Forked, started))
    assert forked == by_python
    assert forked[0] == expected


@pytest.mark.parametrize("start", [Forked, started])
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_signals_reach_it(tmp_path: Path, start: Start, number: signal.Signals, expected: int) -> None:
    """However a program is started signals do the same to it, and its log is in the file that was given for it."""
    port, log = free_port(), tmp_path / "log"
    process = start("api", [], NOBODY | {"API_PORT": str(port), "API_HOST": "127.0.0.1"}, log, log)
    assert log.exists()
    assert process.poll() is None

    def answers() -> bool:
        try:
            return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=1).status == 200)
        except OSError:
            return False

    wait_for(answers, "it answers")
    assert f"listening address=http://127.0.0.1:{port}" in log.read_text()
    process.send_signal(number)
    assert process.wait(END_SECONDS) == expected
    assert process.returncode == expected
