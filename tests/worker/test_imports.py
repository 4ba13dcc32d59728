"""What a compute worker has to install."""

import subprocess
import sys
from pathlib import Path

NOT_INSTALLED = {"redis", "aiohttp", "prometheus_client", "msgpack", "uvloop", "jgo", "devstack", "projector", "api"}
CODE = "import sys, worker.command_line; print(*{name.partition('.')[0] for name in sys.modules})"


def test_only_what_a_worker_installs() -> None:
    """The worker's package imports nothing that belongs to the servers or to development."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.split())
    assert {"worker", "aiokafka"} <= imported
    assert not imported & NOT_INSTALLED
