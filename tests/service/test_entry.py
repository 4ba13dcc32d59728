"""How a program begins."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
# As if the package were not installed; the commands are those of the room's extra.
WITHOUT = (
    "import sys; sys.modules[{missing!r}] = None; sys.argv = ['status-{room}', '--help']; "
    "import {room}.__main__ as it; it.main()"
)
# Loading takes long, and tells when it has begun.
SLOW = """
import sys, time
from types import ModuleType
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

class Slow(MetaPathFinder, Loader):
    def find_spec(self, name, path, target=None):
        return ModuleSpec(name, self) if name == {module!r} else None
    def exec_module(self, module):
        print("loading", flush=True)
        time.sleep(60)

sys.meta_path.insert(0, Slow())
import {room}.__main__ as it
it.main()
"""
COMMAND_LINES = {
    "worker": "worker.command_line",
    "projector": "projector.commands.command_line",
    "api": "api.command_line",
    "devstack": "devstack.command_line",
}


@pytest.mark.parametrize(
    ("room", "missing", "install"),
    [
        ("worker", "aiokafka", "operator-status-servers[worker]"),
        ("projector", "redis", "operator-status-servers[projector]"),
        ("api", "aiohttp", "operator-status-servers[api]"),
        ("devstack", "jgo", "operator-status-servers[devstack]"),
    ],
)
def test_what_is_not_installed_is_named(room: str, missing: str, install: str) -> None:
    """A command whose packages are not there says which extra to install, instead of a traceback."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(room=room, missing=missing)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.startswith("error: ")
    assert f"pip install '{install}'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("room", "module"), COMMAND_LINES.items())
def test_ctrl_c_while_it_loads_is_silent(room: str, module: str) -> None:
    """Ctrl-C before a command line is loaded ends the process without a word, as the signal it is."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW.format(room=room, module=module)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "loading\n"
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == -signal.SIGINT
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_was_closed_leads_nowhere(closed: str) -> None:
    """Started without standard streams, as some schedulers do, a program ends with the code of its outcome."""
    away = "--start-timeout-seconds 0.1 --kafka-bootstrap-servers 127.0.0.1:1"
    words = f"exec {sys.executable} -m worker events {away} {closed}"
    assert subprocess.run(["sh", "-c", words], cwd=PROJECT, capture_output=True, check=False).returncode == 75
