"""A short torture, as part of the tests; `make torture` is the long one."""

import json
import subprocess
import sys

import pytest

MINUTES = 2
SEED = 2461  # its first rounds have nearly every kind of fault


@pytest.mark.timeout(600)
def test_two_minutes_of_faults() -> None:
    """Whatever breaks, no answer is wrong, stale without saying so, or slow, and all of it recovers by itself."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--minutes", str(MINUTES), "--seed", str(SEED)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert not any(figures["anomalies"].values())
