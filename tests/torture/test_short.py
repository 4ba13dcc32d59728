"""Some torture, always the same, two minutes with its beginning and its end: the long run is `make torture`."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.brokers import environment_for_programs
from tests.torture.faults.schedule import Kind

# Alone: answers that are late because other tests keep the machine busy would be anomalies.
pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.long(120)]

SEED = 4864
MINUTES = 1.4
# What needs more time than this to be seen at all, or to recover from.
FOR_LONG_RUNS = ("LETTERS", "FLOOD", "TRANSACTION", "THIN", "DAMAGE", "JUMP", "SLOW_READERS", "NEW_LOG")


@pytest.mark.timeout(600)
def test_two_minutes_of_torture() -> None:
    """Whatever dies, no answer is wrong, nothing is lost, and all is right again within seconds."""
    left_out = [word for name in FOR_LONG_RUNS for word in ("--without", name)]
    command = [sys.executable, "-m", "tests.torture", "--minutes", str(MINUTES), "--seed", str(SEED), *left_out]
    environment = os.environ | environment_for_programs()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert not any(figures["anomalies"].values())
    assert figures["kills"] > 0
    assert figures["events"] > 0
    assert figures["faults"].keys() <= {kind.value for kind in Kind}
