"""`python -m worker`, run to its end."""

import subprocess
import sys

from tests.support.markdown import PROJECT

COMMAND_LIMIT_SECONDS = 60.0


def run_worker(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run it, with these variables alone, and return its exit code and what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        cwd=PROJECT,
        env={"PATH": "", "START_TIMEOUT_SECONDS": "5", **environment},
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_SECONDS,
        check=False,
    )
