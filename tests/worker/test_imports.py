"""What a compute worker has to install."""

import subprocess
import sys
from pathlib import Path

NOT_INSTALLED = {"redis", "aiohttp", "uvloop", "pydantic", "orjson", "structlog"} | {"worker", "service", "schemas"}
ALL = "operator_status.commands.command_line, operator_status.delivery.left_reports"
CODE = f"import sys, {ALL}; print(*{{name.partition('.')[0] for name in sys.modules}})"


def test_only_what_a_worker_installs() -> None:
    """What workers install imports nothing that belongs to the servers or to development."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.split())
    assert {"operator_status", "aiokafka"} <= imported
    assert not imported & NOT_INSTALLED


def test_a_job_begins_at_once() -> None:
    """What takes long to load is loaded by the reporter's own thread, while the job runs."""
    code = "import sys; from operator_status import JobReporter; JobReporter(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert not {"aiokafka", "click"} & set(done.stdout.split())
