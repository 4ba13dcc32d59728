"""What the feed costs Redis: the same events applied with the step that the projector has, and with its feed taken out.

`python -m tests.bench.feed_cost` measures it alone, on a Redis of its own.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final
from unittest.mock import patch

import click

from projector.fold.batch import MAX_STEP_JOBS
from projector.store import calls
from schemas.job_event import JobEvent
from tests.bench.typical import Filling, typical_events, typical_jobs
from tests.support.redis_process import RedisProcess, client_of

# What is taken out of lua/apply.lua here; a setting of the product that does it would be one too many.
FEED: Final = "#changed > 0 and note_changes(KEYS[5], table.concat(reached, ' '), changed, '')"
# Jobs of a step: those of a catch-up, and the most that the feed names one by one.
STEPS: Final = {"a catch-up": MAX_STEP_JOBS, "steps of 100 jobs": 100}
ROUNDS: Final = 5
JOBS: Final = 6_000


@dataclass(frozen=True)
class FeedCost:
    """The CPU of Redis for an event without the feed, in seconds, and what part of that the feed adds, by rounds."""

    seconds: float
    parts: Sequence[float]

    def __str__(self) -> str:
        """Return the median and the spread, in hundredths."""
        low, high = 100 * min(self.parts), 100 * max(self.parts)
        return (
            f"{100 * median(self.parts):+.1f} % of Redis' CPU ({low:+.1f} to {high:+.1f} in {len(self.parts)} rounds) "
            f"beside {1e6 * self.seconds:.1f} us an event"
        )


async def feed_cost(redis_url: str, jobs: int, rounds: int, jobs_of_a_step: int) -> FeedCost:
    """Apply the events of so many jobs with and without the feed, by turns."""
    events = list(typical_events(typical_jobs(jobs)))
    parts, without = [], []
    async with client_of(redis_url) as redis:
        for number in range(rounds):
            costs = {}
            for has_feed in (True, False) if number % 2 else (False, True):  # neither is always the first
                with nullcontext() if has_feed else without_feed():
                    costs[has_feed] = await _seconds_of(redis, events, jobs_of_a_step)
            without.append(costs[False])
            parts.append(costs[True] / costs[False] - 1)
    return FeedCost(median(without), parts)


async def _seconds_of(redis: Any, events: Sequence[JobEvent], jobs_of_a_step: int) -> float:
    """Return what an event takes of Redis' processor time."""
    await redis.flushall()
    filling = await Filling.begun(redis)
    before = await _used_seconds(redis)
    for start in range(0, len(events), jobs_of_a_step):
        await filling.apply(events[start : start + jobs_of_a_step])
    return (await _used_seconds(redis) - before) / len(events)


async def _used_seconds(redis: Any) -> float:
    info = await redis.info("cpu")
    return float(info["used_cpu_user"] + info["used_cpu_sys"])


@contextmanager
def without_feed() -> Iterator[None]:
    """Have scripts that are made in the block note no changes."""
    whole = calls.script_text

    def text_without(name: str) -> str:
        text = whole(name)
        if name == "apply":
            assert text.count(FEED) == 1
            text = text.replace(FEED, "false")
        return text

    with patch.object(calls, "script_text", text_without):
        yield


async def measure_feed(redis_url: str, jobs: int = JOBS, rounds: int = ROUNDS) -> list[str]:
    """Return the lines that tell what the feed costs."""
    costs = [(name, await feed_cost(redis_url, jobs, rounds, size)) for name, size in STEPS.items()]
    return [f"the feed of changes in {name}: {cost}" for name, cost in costs]


@click.command()
@click.option("--jobs", default=JOBS, show_default=True, help="Jobs of five events each.")
@click.option("--rounds", default=ROUNDS, show_default=True, help="Pairs, by turns.")
def main(jobs: int, rounds: int) -> None:
    """Measure and print what the feed costs Redis."""
    with tempfile.TemporaryDirectory() as directory, RedisProcess(Path(directory)) as redis:
        for line in asyncio.run(measure_feed(redis.url, jobs, rounds)):
            click.echo(line)


if __name__ == "__main__":
    main()
