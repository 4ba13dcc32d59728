"""`python -m worker`, run to its end."""

from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

from tests.support.processes import run

COMMAND_LIMIT_SECONDS = 60.0


def run_worker(*arguments: str, **environment: str) -> CompletedProcess[str]:
    """Run it, with these variables alone, and return its exit code and what it printed."""
    alone = {"PATH": "", "START_TIMEOUT_SECONDS": "5", **environment}
    with TemporaryDirectory() as directory:
        return run("worker", arguments, alone, Path(directory), COMMAND_LIMIT_SECONDS)
