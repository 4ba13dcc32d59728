"""What a topic of many partitions costs one projector: `python -m tests.bench.many_partitions` takes 10,000.

On a Kafka of its own, one broker, which keeps some files open for each partition.
"""

import asyncio
import json
import logging
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import click

from devstack import Kafka, Redis, free_port
from tests.bench.place import peak_kib, used_seconds
from tests.support.deployment import Deployment, Message, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.processes import started
from tests.support.services import Services

PARTITIONS: Final = 10_000
EVENTS_OF_A_PARTITION: Final = 5
LATE_EVENTS: Final = 20
LATE_PAUSE_SECONDS: Final = 0.5
MOST_SECONDS: Final = 900.0
OPEN_FILES: Final = 65_536
HEAP_MEGABYTES: Final = 1024


def messages(count: int) -> Iterator[Message]:
    """Yield events of as many jobs, spread over the partitions by their keys."""
    for number in range(count):
        job = f"job-{number}"
        yield job.encode(), json.dumps(event(job=job)).encode(), []


async def measure(place: Deployment, partitions: int, say: Callable[[str], None]) -> None:
    """Say how long a projector takes to begin, to apply what waits, and to show one more event."""
    count = partitions * EVENTS_OF_A_PARTITION
    await place.write(messages(count), None)
    say(f"{count} events are in {partitions} partitions")
    port = free_port()
    process = place.start_projector(METRICS_PORT=str(port))
    began = time.perf_counter()

    def tell(what: str, condition: Callable[[], bool]) -> None:
        wait_for(condition, what, MOST_SECONDS)
        say(f"  {what} after {time.perf_counter() - began:.1f} s")

    tell("something is applied", lambda: applied(place) > 0)
    tell("all is applied", lambda: applied(place) == count)
    tell("it is ready", lambda: ready(port)[0] == 200)
    seconds: list[float] = []
    for number in range(LATE_EVENTS):
        await asyncio.sleep(LATE_PAUSE_SECONDS)
        sent = time.perf_counter()
        await place.send(event(job=f"late-{number}"), number * (partitions // LATE_EVENTS))
        wait_for(partial(is_applied, place, count + number + 1), "one more is applied")
        seconds.append(time.perf_counter() - sent)
    say(f"  one more is applied after {statistics.median(seconds):.2f} s, {max(seconds):.2f} s at most")
    lines = len(place.logs().splitlines())
    say(
        f"  {peak_kib(process.pid) // 1024} MiB at most, {used_seconds(process.pid):.1f} s of CPU, {lines} lines of log"
    )
    assert process.poll() is None


def applied(place: Deployment) -> int:
    """Return how many records are in Redis."""
    return sum(place.positions().values())


def is_applied(place: Deployment, count: int) -> bool:
    """Tell whether so many are."""
    return applied(place) == count


@click.command()
@click.option("--partitions", default=PARTITIONS, show_default=True)
def main(partitions: int) -> None:
    """Measure what many partitions cost."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a line for each partition that has no leader yet
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, OPEN_FILES), hard))
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with (
            Kafka(directory / "kafka", heap_megabytes=HEAP_MEGABYTES) as kafka,
            Redis(directory / "redis") as redis,
        ):
            services = Services(kafka.bootstrap_servers, redis.url, "devstack")
            began = time.perf_counter()
            with Deployment(services, "many", directory, partitions=partitions, start=started) as place:
                click.echo(f"topics are made after {time.perf_counter() - began:.1f} s")
                asyncio.run(measure(place, partitions, click.echo))


if __name__ == "__main__":
    sys.exit(main())
