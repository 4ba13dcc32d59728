"""The benchmarks: each figure beside the plain alternative, in one run, on one machine: `make bench`."""

import asyncio
import os
import platform
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from tests.bench.catch_up import WORKLOAD, CatchUp, load, measure_plain, measure_projector
from tests.bench.latency import measure_latency
from tests.bench.reads import measure_reads
from tests.bench.rebuilds import measure_memory, measure_queries, measure_rebuilds
from tests.bench.streams import measure_streams
from tests.support.services import running_services

ROUNDS = 3
STREAMS = 1000
STREAM_SECONDS = 5.0


@click.command()
@click.option("--jobs", default=100_000, show_default=True, help="Simulated jobs, about five events each.")
@click.option("--rounds", default=ROUNDS, show_default=True, help="Pairs of runs; the median ratio counts.")
@click.option("--large", default=1_000_000, show_default=True, help="Jobs of the large log that is rebuilt; 0: none.")
def main(jobs: int, rounds: int, large: int) -> None:
    """Measure catch-up, rebuild, latency, reads and streams beside the plain alternatives."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services = stack.enter_context(running_services(directory / "services"))
        click.echo(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {services.source}"
        )
        run = CatchUp(services, directory)
        stack.enter_context(run.deployment)
        events = load(run, jobs)
        click.echo(f"catch-up of {events} events of {jobs} jobs ({WORKLOAD})")
        ratios, rates = [], []
        for number in range(rounds):
            plain, ours = measure_plain(run, events), measure_projector(run, events)
            ratios.append(ours / plain)
            rates.append(ours)
            click.echo(
                f"  {number + 1}: plain pipeline {plain:>9,.0f}/s   projector {ours:>9,.0f}/s   {ratios[-1]:.2f} times"
            )
        click.echo(f"  median ratio {statistics.median(ratios):.2f}")
        for line in measure_rebuilds(run, events, statistics.median(rates)):
            click.echo(line)
        for line in asyncio.run(measure_queries(run)):
            click.echo(line)
        run.deployment.forget()
        for line in measure_reads(run):
            click.echo(line)
        for line in asyncio.run(measure_latency(run)):
            click.echo(line)
        for line in asyncio.run(measure_streams(services.redis_url, directory, STREAMS, STREAM_SECONDS)):
            click.echo(line)
        if large:
            run = CatchUp(services, directory / "large")
            stack.enter_context(run.deployment)
            click.echo(f"rebuild of the log of {large} jobs: {measure_memory(run.deployment, load(run, large))}")


if __name__ == "__main__":
    sys.exit(main())
