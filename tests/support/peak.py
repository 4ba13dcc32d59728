"""How much memory a command takes."""

import subprocess
import sys
from typing import Final

from tests.support.deployment import Deployment

# A process counts as its own what the one had that started it, so a small one starts it.
_PEAK: Final = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_mib(deployment: Deployment, *arguments: str) -> int:
    """Run a command of the projector and return the most memory that it, or any process it started, had."""
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, sys.executable, "-m", "projector", *arguments],
        env=deployment.environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return int(done.stdout.split()[-1]) // 1024
