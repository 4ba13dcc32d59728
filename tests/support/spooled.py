"""Workers whose Kafka is away, and what they left in their spool."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from devstack import free_port
from tests.support.forks import Fork

PROJECT = Path(__file__).parents[2]
TOPIC = "job-events"
JOB = ("--owner=0x1111", "--agreement-id=0x2222", "--job-id=3333", "--source=/workers/gpu-7")
COMMAND = (sys.executable, "-m", "operator_status")


def away(spool: Path, **others: str) -> dict[str, str]:
    """Return the environment of a worker whose Kafka is away, and that has a spool."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(PROJECT),
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "KAFKA_TOPIC": TOPIC,
        "WORKER_SPOOL": str(spool),
        **others,
    }


def execute(spool: Path, *command: str, options: tuple[str, ...] = (), **others: str) -> "subprocess.Popen[bytes]":
    """Start `status-worker exec`."""
    words = ("-m", "operator_status", "exec", *JOB, *options, "--", *command)
    return Fork(words, away(spool, **others), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def left(spool: Path) -> list[dict[str, Any]]:
    """Return the events in a spool, in the order of their times: the stage, and what was said of it."""
    events = [json.loads(path.read_bytes()) for path in (spool / TOPIC).glob("*.json")]
    told = []
    for event in sorted(events, key=lambda event: str(event["time"])):
        data = event["data"]
        details = {name: data[name] for name in data if name not in {"owner", "agreementId", "jobId", "attempt"}}
        told.append({"stage": event["type"].rpartition(".")[2], **details})
    return told


def script(spool: Path, text: str, **others: str) -> "subprocess.Popen[bytes]":
    """Start a Python program that uses the package as a worker does."""
    environment = away(spool, **others)
    return Fork(("-c", text), environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
