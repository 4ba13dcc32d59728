"""Rebuild and verify as whole commands, in one process and in several: how fast, and in how much memory."""

import time
from pathlib import Path
from typing import Final

from schemas.redis_layout import POSITIONS, bucket_prefix
from tests.bench.catch_up import LIMIT_SECONDS, NEAR, written
from tests.bench.place import Place, peak_kib
from tests.support.deployment import Deployment, wait_for
from tests.support.processes import Process

PROCESSES: Final = (1, 2)


def measure_replays(place: Place) -> None:
    """Measure rebuilds of the log and a verify of it, by turns."""
    log = written(place, NEAR, place.sizes.jobs)
    with place.redis("replays", "on") as services, log.deployment(place, services, "replays") as deployment:
        process = deployment.start_projector()
        deployment.wait_until_applied(LIMIT_SECONDS)
        deployment.stop(process)
        for _ in range(place.sizes.rounds):
            for processes in PROCESSES:
                _rebuild(place, deployment, log.events, processes)
            rebuild, verify = (_seconds_of(deployment, command) for command in ("rebuild", "verify"))
            place.figures.add("replay/verify", verify / rebuild)
            deployment.command("projector", "generations", "drop", str(deployment.generation - 1), "--wait", "0")


def _seconds_of(deployment: Deployment, command: str) -> float:
    """Return how long a command takes from its start to its end."""
    began = time.perf_counter()
    assert deployment.start("projector", command).wait(LIMIT_SECONDS) == 0, deployment.logs()
    return time.perf_counter() - began


def _rebuild(place: Place, deployment: Deployment, count: int, processes: int) -> None:
    """Rebuild, and drop what was replaced; note the rate from the first stored position to the last, and memory."""
    old = deployment.generation
    rebuilding = deployment.start("projector", "rebuild", "--processes", str(processes))
    key = bucket_prefix(deployment.prefix, old + 1, 0) + POSITIONS

    def applied() -> int:
        return sum(int(value) for name, value in deployment.hash(key).items() if b"#" not in name)

    first: int = wait_for(applied, "the first batch", LIMIT_SECONDS)
    began = time.perf_counter()
    peak: dict[str, int] = {}
    wait_for(lambda: _note_peak(rebuilding, peak) or applied() >= count, "the last batch", LIMIT_SECONDS)
    seconds = time.perf_counter() - began
    assert rebuilding.wait(LIMIT_SECONDS) == 0, deployment.logs()
    deployment.command("projector", "generations", "drop", str(old), "--wait", "0")
    place.figures.add(f"replay/rate/{processes}", max(count - first, 1) / seconds)
    for name, kib in peak.items():
        place.figures.add(f"replay/memory/{name}", kib / 1024)


def _note_peak(process: Process, peak: dict[str, int]) -> bool:
    """Note the most memory so far of the rebuild and of the largest of its followers."""
    for name, pids in (("command", [process.pid]), ("follower", _children(process))):
        for pid in pids:
            peak[name] = max(peak.get(name, 0), peak_kib(pid))
    return False


def _children(process: Process) -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    except OSError:
        return []
