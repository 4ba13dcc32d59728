"""Programs of Python that tests fork."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.forks import Fork, run

pytestmark = pytest.mark.group("programs of workers")  # what forks them has imported once what they need


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("pass", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('why')", 1),
        ("1 / 0", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_it_ends_as_python_ends(end: str, code: int) -> None:
    """A fork's exit code is what Python's would be, and what is to be done at exit is done."""
    text = f"import atexit, os, signal, sys\natexit.register(print, 'over')\n{end}"
    done = run(("-c", text), {})
    assert done.returncode == code
    assert done.stdout == (b"" if code == -signal.SIGKILL else b"over\n")


def test_it_is_a_child_with_what_it_was_given(tmp_path: Path) -> None:
    """Whoever starts a fork is its parent, and its environment, folder, arguments and streams are those given."""
    text = "import os, sys; print(os.getppid(), *os.environ, os.getcwd(), *sys.argv, input(), __name__)"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with Fork(("-c", text, "a", "b"), {"ONLY": "1"}, cwd=tmp_path, **pipes) as process:
        output, _ = process.communicate(b"given\n")
    assert output.decode().split() == [str(os.getpid()), "ONLY", str(tmp_path), "-c", "a", "b", "given", "__main__"]


def test_a_module_and_a_signal() -> None:
    """`-m` runs a module, and a signal ends it."""
    assert run(("-m", "operator_status", "--help"), {}).stdout.startswith(b"Usage: ")
    with Fork(("-c", "import time; print('up', flush=True); time.sleep(60)"), {}, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        process.terminate()
        assert process.wait(60) == -signal.SIGTERM
