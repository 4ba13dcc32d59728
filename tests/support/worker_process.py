"""`python -m worker`, run to its end."""

from subprocess import CompletedProcess

from tests.support import forks


def run_worker(*arguments: str, **environment: str) -> "CompletedProcess[str]":
    """Run it, with these variables alone, and return its exit code and what it printed."""
    alone = {"PATH": "", "START_TIMEOUT_SECONDS": "5", **environment}
    done = forks.run(("-m", "worker", *arguments), alone)
    return CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
