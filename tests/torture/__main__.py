"""`python -m tests.torture --minutes 60 --seed 1`: break everything at random; what is shown must stay right."""

import faulthandler
import json
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path

import click

from service.command_line import run_async
from tests.torture.faults.schedule import Kind, Part
from tests.torture.judging.figures import Figures
from tests.torture.run import Run

LARGEST_SEED = 10**6
LONGEST_OVERTIME_SECONDS = 1_200
MOST_TOLD = 10  # anomalies of one name


@click.command()
@click.option("--minutes", default=60.0, show_default=True, help="How long.")
@click.option("--seed", type=int, help="What decides which faults happen when; random when not given.")
@click.option(
    "--only", multiple=True, type=click.Choice(Kind), help="This kind of fault, and no other; can be repeated."
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice([*Kind.__members__, *Part.__members__]),
    help="Not this kind of fault, or nothing of this; can be repeated.",
)
@click.option("--streams", default=12, show_default=True, help="How many clients follow streams at a time.")
@click.option("--keep", is_flag=True, help="Keep the logs and the data also when all is well.")
def main(
    minutes: float, seed: int | None, only: Collection[Kind], without: Collection[str], streams: int, *, keep: bool
) -> None:
    """Torture the system; exit with 1 when an answer or the projection was wrong, or too little happened."""
    seed = random.randrange(LARGEST_SEED) if seed is None else seed
    directory = Path(tempfile.mkdtemp(prefix=f"torture-{seed}-"))
    click.echo(f"seed {seed}, {minutes:g} minutes, logs in {directory}")
    logging.basicConfig(filename=directory / "clients.log", level=logging.WARNING)  # our own clients of Kafka complain
    taking_part = frozenset(it for it in (*(only or Kind), *Part) if it.name not in without)
    # Should all limits fail, it says where it stood, and ends.
    faulthandler.dump_traceback_later(60 * minutes + LONGEST_OVERTIME_SECONDS, exit=True)
    run = Run(seed, minutes, directory, narrator(directory / "story.log"), taking_part, streams=streams)
    is_good = False
    try:
        run_async(run.run())
        is_good = run.figures.is_good
    finally:
        run.figures.count_recoveries(directory / "logs")
        report(run.figures, directory)
        if is_good and not keep:
            shutil.rmtree(directory)
    sys.exit(0 if is_good else 1)


def report(figures: Figures, directory: Path) -> None:
    """Print the figures as one line of JSON, after whatever is wrong."""
    told = Counter[str]()
    for number, anomaly in figures.anomalies:
        told[anomaly.name] += 1
        if told[anomaly.name] <= MOST_TOLD:
            click.echo(f"round {number}: {anomaly.name}: {anomaly.detail[:2000]}")
    for name, count in told.items():
        if count > MOST_TOLD:
            click.echo(f"{name}: {count - MOST_TOLD} more, which story.log tells")
    for shortfall in figures.shortfalls:
        click.echo(f"too little: {shortfall}")
    if not figures.is_good:
        click.echo(f"seed {figures.seed}: logs and data are kept in {directory}")
    click.echo(json.dumps(figures.as_json()))


def narrator(path: Path) -> Callable[[str], None]:
    """Return what writes down what happens, with the time."""

    def say(line: str) -> None:
        now = time.time()
        clock = time.strftime("%H:%M:%S", time.localtime(now))
        with path.open("a", encoding="utf-8") as story:
            story.write(f"{clock}.{int(now % 1 * 1000):03d} ({now:.3f}) {line}\n")

    return say


if __name__ == "__main__":
    main()
