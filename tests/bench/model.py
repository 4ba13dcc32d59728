"""What a projection of any size costs, told from one of a measured size: `.venv/bin/python -m tests.bench.model`."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import click

from tests.bench.catch_up import LIMIT_SECONDS, NEAR, PARTITIONS, WORKLOAD, messages
from tests.support.deployment import Deployment
from tests.support.processes import started
from tests.support.services import running_services

EVENTS: Final = 100_000_000
JOBS: Final = 20_000_000
SETTLE_SECONDS: Final = 2.0
MOST_SECONDS_FOR_A_JOB: Final = 0.003


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


@dataclass(frozen=True)
class Ran:
    """How long a command took, its CPU, how long its first line took, and the most memory of one of its processes."""

    seconds: float
    cpu_seconds: float
    first_line_seconds: float | None
    peak_bytes: int

    def __str__(self) -> str:
        first = "" if self.first_line_seconds is None else f"its first line after {self.first_line_seconds:.1f} s, "
        cpu = f"{self.cpu_seconds:.1f} s of CPU, "
        return f"{'':30} {first}{cpu}{self.peak_bytes / 2**20:.0f} MiB at most in one process"


def ran(place: Deployment, *command: str) -> Ran:
    """Run a command to its end, with the start of Python."""
    began = time.perf_counter()
    words = [sys.executable, "-m", "projector", *command]
    with subprocess.Popen(words, env=place.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr
        told = process.stderr.readline()
        first = time.perf_counter() - began if told else None
        told += process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, told
    return Ran(time.perf_counter() - began, used.ru_utime + used.ru_stime, first, used.ru_maxrss * 1024)


def disk_bytes(directory: Path, topic: str) -> int:
    """Return what the log of a topic takes on the disk of a broker started here."""
    return sum(path.stat().st_size for path in directory.rglob(f"{topic}-*/*.log"))


@dataclass(frozen=True)
class Model:
    """A log of so many jobs and events, and where what it costs is told."""

    place: Deployment
    jobs: int
    events: int
    say: Callable[[str], None]

    def tell(self, what: str, unit: str, total: float, *, of_events: bool) -> None:
        """Say what was measured, for one and for many."""
        count, wanted = (self.events, EVENTS) if of_events else (self.jobs, JOBS)
        self.say(str(Cost(what, unit, total, count, wanted)))

    def tell_of(self, command: str, *options: str, of_events: bool, what: str = "") -> float:
        """Run a command, say what it took, and return how long."""
        done = ran(self.place, *command.split(), *options)
        self.tell(what or command, "s", done.seconds, of_events=of_events)
        self.say(str(done))
        return done.seconds

    def fill(self, directory: Path) -> None:
        """Measure the log, how it is folded into an empty Redis, and what it takes there."""
        self.say(f"{self.events} events of {self.jobs} jobs ({WORKLOAD}); for {EVENTS:,} events and {JOBS:,} jobs:")
        self.tell("log, lz4, on disk", "B", disk_bytes(directory, self.place.topic), of_events=True)
        before, began = used_bytes(self.place), time.perf_counter()
        process = self.place.start_projector()
        self.place.wait_until_applied(LIMIT_SECONDS + self.jobs * MOST_SECONDS_FOR_A_JOB)
        self.tell("fill an empty Redis", "s", time.perf_counter() - began, of_events=True)
        self.place.stop(process)
        self.tell("Redis", "B", used_bytes(self.place) - before, of_events=False)

    def rebuild(self, verified: float) -> float:
        """Measure a rebuild, which needs room for two generations, and return how long it took."""
        filled = self.tell_of("rebuild", of_events=True)
        self.say(f"  a verify takes {verified / filled:.1f} times as long as a rebuild of the same log")
        self.tell_of("generations drop", "1", "--wait", "0", of_events=False)
        return filled

    def export(self) -> Path:
        """Measure an export, and return where it went."""
        archive = self.place.directory / "archive.zst"
        self.tell_of("export --zstd", "--output", str(archive), of_events=False)
        self.tell("archive, zstd", "B", archive.stat().st_size, of_events=False)
        return archive


def measure(
    place: Deployment, jobs: int, directory: Path, say: Callable[[str], None], *, is_one_generation: bool
) -> None:
    """Measure each cost once, and say what it is for one and for many."""
    place.publish(messages(NEAR, jobs))
    model = Model(place, jobs, sum(place.log_ends().values()), say)
    model.fill(directory)
    verified = model.tell_of("verify", of_events=True)
    model.tell_of("generations list", of_events=False)
    if is_one_generation:
        model.export()
        return
    filled = model.rebuild(verified)
    archive = model.export()
    place.forget()
    time.sleep(SETTLE_SECONDS)
    imported = model.tell_of("import", str(archive), of_events=False)
    say(f"  import is {filled / imported:.1f} times as fast as a rebuild of the same log")
    place.command("projector", "expire", "--before", "1s", "--yes")
    model.tell_of("rebuild", of_events=True, what="rebuild, all jobs expired")


@click.command()
@click.option("--jobs", default=100_000, show_default=True, help="Simulated jobs, about five events each.")
@click.option("--one-generation", "is_one_generation", is_flag=True, help="Only what needs no room for a second one.")
def main(jobs: int, *, is_one_generation: bool) -> None:
    """Measure what a projection costs, and tell what a large one would."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with running_services(directory / "services") as services:
            topic = f"model-{os.getpid()}"
            with Deployment(services, topic, directory, partitions=PARTITIONS, start=started) as place:
                measure(place, jobs, directory, click.echo, is_one_generation=is_one_generation)


if __name__ == "__main__":
    sys.exit(main())
