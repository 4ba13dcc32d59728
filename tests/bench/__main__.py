"""The benchmarks: each figure beside its goal and the plain alternative, in one run, on one machine: `make bench`."""

import asyncio
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from tests.bench.catch_up import measure_catch_up
from tests.bench.documents import PAGE, write
from tests.bench.feed_cost import JOBS, measure_feed
from tests.bench.figures import Figures
from tests.bench.hostile_clients import measure_once
from tests.bench.latency import measure_latency
from tests.bench.lists import measure_lists
from tests.bench.place import SMALL, Place, Sizes, machine, server_of
from tests.bench.reads import measure_queries
from tests.bench.rebuilds import measure_rebuild
from tests.bench.redis_cost import measure_alive, measure_memory
from tests.bench.replays import measure_replays
from tests.bench.streams import measure_streams
from tests.bench.table import missing, plain
from tests.support.services import Services, running_services

STREAM_SECONDS: Final = 5.0


def measure_stream(place: Place) -> None:
    """Measure streams beside a subscription for each client."""
    with place.redis("streams") as services:
        seconds = min(STREAM_SECONDS, 2 * place.sizes.seconds)
        for count in place.sizes.streams:
            lines = asyncio.run(measure_streams(services.redis_url, place.room("streams"), count, seconds))
            place.figures.notes.extend(lines)


def measure_the_feed(place: Place) -> None:
    """Measure what the feed that streams follow costs Redis in a catch-up."""
    with place.redis("feed") as services:
        jobs = min(JOBS, place.sizes.jobs)
        place.figures.notes.extend(asyncio.run(measure_feed(services.redis_url, jobs, place.sizes.rounds)))


def measure_hostile(place: Place) -> None:
    """Measure what a good client notices of hostile ones, once."""
    noticed = asyncio.run(measure_once(place.sizes.hostility))
    place.figures.add("hostile/alone", noticed.quiet_p99 * 1000)
    place.figures.add("hostile/beside", noticed.p99 * 1000)
    place.figures.add("hostile/memory", noticed.peak_mib)


PARTS: Final[dict[str, Callable[[Place], None]]] = {
    "catch-up": measure_catch_up,
    "memory": measure_memory,
    "alive": measure_alive,
    "queries": measure_queries,
    "lists": measure_lists,
    "latency": measure_latency,
    "rebuild": measure_rebuild,
    "feed": measure_the_feed,
    "streams": measure_stream,
    "hostile": measure_hostile,
}
# What is measured when it is asked for alone: it takes long, and has no goal.
OTHERS: Final[dict[str, Callable[[Place], None]]] = {"replay": measure_replays}
# What needs no Kafka.
WITHOUT_LOG: Final = {"memory", "alive", "queries", "lists", "feed", "streams", "hostile"}


@click.command()
@click.option("--only", multiple=True, type=click.Choice([*PARTS, *OTHERS]), help="A part of it; may be repeated.")
@click.option("--rounds", type=click.IntRange(min=1), help=f"How often, by turns. [default: {Sizes.rounds}]")
@click.option("--jobs", type=click.IntRange(min=100), help=f"Jobs of the log, of five events. [default: {Sizes.jobs}]")
@click.option("--small", is_flag=True, help="Show that everything works, in a minute; the figures say nothing.")
@click.option(
    "--docs",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Write tables and plots into this page. [default: docs/performance.md, when all of it is measured]",
)
def main(only: Sequence[str], rounds: int | None, jobs: int | None, docs: Path | None, *, small: bool) -> None:
    """Measure everything beside its goal and the plain alternatives, by turns, and write docs/performance.md."""
    sizes = SMALL if small else Sizes()
    sizes = replace(sizes, rounds=rounds or sizes.rounds, jobs=jobs or sizes.jobs)
    parts = list(dict.fromkeys(only)) or list(PARTS)
    figures = Figures()
    failed: list[str] = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place = Place(services=_services(stack, directory, parts), directory=directory, sizes=sizes, figures=figures)
        with place.redis("first") as services:
            measured_on = f"{machine(server_of(services.redis_url))}; {sizes.rounds} rounds, {sizes.jobs:,} jobs"
        click.echo(measured_on)
        for part in parts:
            click.echo(part)
            noted, drawn = len(figures.notes), set(figures.curves)
            try:
                (PARTS | OTHERS)[part](place)
            except Exception:  # noqa: BLE001 - what the others measure is worth its minutes; it counts as not measured
                failed.append(part)
                click.echo(traceback.format_exc())
            curves = [f"  {name}: {_points(figures, name)}" for name in figures.curves if name not in drawn]
            for line in (*plain(figures, [part]), *curves, *figures.notes[noted:]):
                click.echo(line)
    if docs or not (only or small):
        write(figures, measured_on, docs or PAGE)
    if lacking := [*failed, *missing(figures, parts)]:
        raise click.ClickException(f"not measured: {', '.join(lacking)}")


def _points(figures: Figures, curve: str) -> str:
    return ", ".join(f"{y:.1f} at {x:,.0f}" for x, y in figures.curve(curve))


def _services(stack: ExitStack, directory: Path, parts: Sequence[str]) -> Services:
    """Return the servers; none are started when no part needs a log."""
    if WITHOUT_LOG.issuperset(parts):
        return Services("", "", "none")
    return stack.enter_context(running_services(directory / "services"))


if __name__ == "__main__":
    sys.exit(main())
