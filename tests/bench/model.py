"""What a projection of any size costs, told from one of a measured size: `.venv/bin/python -m tests.bench.model`."""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import click

from tests.bench.catch_up import LIMIT_SECONDS, WORKLOAD, CatchUp, load
from tests.support.deployment import Deployment
from tests.support.processes import run as run_module
from tests.support.services import running_services

EVENTS: Final = 100_000_000
JOBS: Final = 20_000_000
SETTLE_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Cost:
    """A measured figure, and how many it is of: events or jobs."""

    what: str
    unit: str
    total: float
    count: int
    wanted: int

    def __str__(self) -> str:
        """Return what was measured, for one, and for as many as are asked about."""
        each, all_of_them = self.total / self.count, self.total / self.count * self.wanted
        if self.unit == "s":
            return f"  {self.what:<28} {self.total:>8.1f} s   {each * 1e6:>7.1f} us each   {all_of_them / 60:>7.0f} min"
        return (
            f"  {self.what:<28} {self.total / 2**20:>8.0f} MiB {each:>7.0f} B each    {all_of_them / 2**30:>7.1f} GiB"
        )


def used_bytes(place: Deployment) -> int:
    """Return how much memory Redis takes."""
    return int(cast("dict[str, int]", place.redis.info("memory"))["used_memory"])


def seconds_of(place: Deployment, *command: str) -> float:
    """Run a command to its end; return how long it took."""
    began = time.perf_counter()
    done = run_module("projector", command, place.environment, place.directory, LIMIT_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - began


def disk_bytes(directory: Path, topic: str) -> int:
    """Return what the log of a topic takes on the disk of a broker started here."""
    return sum(path.stat().st_size for path in directory.rglob(f"{topic}-*/*.log"))


def measure(run: CatchUp, jobs: int, directory: Path, say: Callable[[str], None]) -> None:
    """Measure each cost once, and say what it is for one and for many."""
    place = run.deployment
    events = load(run, jobs)

    def tell(what: str, unit: str, total: float, *, of_events: bool) -> None:
        count, wanted = (events, EVENTS) if of_events else (jobs, JOBS)
        say(str(Cost(what, unit, total, count, wanted)))

    say(f"{events} events of {jobs} jobs ({WORKLOAD}); for {EVENTS:,} events and {JOBS:,} jobs:")
    tell("log, lz4, on disk", "B", disk_bytes(directory, place.topic), of_events=True)
    before, began = used_bytes(place), time.perf_counter()
    process = place.start_projector()
    place.wait_until_applied(LIMIT_SECONDS)
    tell("fill an empty Redis", "s", time.perf_counter() - began, of_events=True)
    place.stop(process)
    tell("Redis", "B", used_bytes(place) - before, of_events=False)
    filled = seconds_of(place, "rebuild")
    tell("rebuild", "s", filled, of_events=True)
    tell("generations list", "s", seconds_of(place, "generations", "list"), of_events=False)
    archive = place.directory / "archive.zst"
    tell("export --zstd", "s", seconds_of(place, "export", "--zstd", "--output", str(archive)), of_events=False)
    tell("archive, zstd", "B", archive.stat().st_size, of_events=False)
    place.forget()
    time.sleep(SETTLE_SECONDS)
    imported = seconds_of(place, "import", str(archive))
    tell("import", "s", imported, of_events=False)
    say(f"  import is {filled / imported:.1f} times as fast as a rebuild of the same log")
    place.command("projector", "expire", "--before", "1s", "--yes")
    tell("rebuild, all jobs expired", "s", seconds_of(place, "rebuild"), of_events=True)


@click.command()
@click.option("--jobs", default=100_000, show_default=True, help="Simulated jobs, about five events each.")
def main(jobs: int) -> None:
    """Measure what a projection costs, and tell what a large one would."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with running_services(directory / "services") as services:
            run = CatchUp(services, directory)
            with run.deployment:
                measure(run, jobs, directory, click.echo)


if __name__ == "__main__":
    sys.exit(main())
