"""What an event costs the projector and Redis, part by part, on two workloads: `python -m tests.bench.event_cost`.

The records are those of the simulation, compressed as a broker hands them over; they are read, decoded, folded, encoded
and applied by the projector's own parts, one after the other, into a Redis of its own with default settings. Processor
time is what counts, for it depends least on what else the machine does.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import click
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from redis.asyncio import Redis

from projector.cycles import free_only_when_told
from projector.fold.batch import MAX_POLL_RECORDS, Batch
from projector.fold.batches import Stretch, batches
from projector.log.codecs import Expansion
from projector.log.reader import POLL_BYTES
from projector.log.reading import KeptRecords, Reading
from projector.store.generation import Generation
from schemas.redis_layout import Pointer
from tests.support.redis_process import RedisProcess, client_of
from tests.support.seeding import TOPIC, Projection
from worker.simulation import Mix, events

PARTITIONS: Final = 4
LOG_BATCH_RECORDS: Final = 100
LZ4: Final = 3
# How many events of other jobs are between two of a job.
APART: Final = {"500 apart": 500, "far apart": 50_000}
Logs = dict[int, list[bytes]]


class Clock:
    """Adds up the processor time of each part."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Count what is done meanwhile."""
        began = time.process_time()
        yield
        self.seconds[part] += time.process_time() - began


def logs(jobs: int, apart: int) -> tuple[Logs, int]:
    """Return the batches of each partition's log, and the number of their records."""
    mix = Mix(owners=1000, rate=1000, pace_seconds=apart / 1000, failures=0)
    made: Logs = {number: [] for number in range(PARTITIONS)}
    builders: dict[int, Any] = {}
    counts = [0] * PARTITIONS
    filled = [0] * PARTITIONS
    for item in events(seed=1, jobs=jobs, mix=mix):
        number = crc32(item.key) % PARTITIONS
        builder = builders.get(number) or builders.setdefault(number, _builder())
        moment = int((mix.start.timestamp() + item.due_seconds) * 1000)
        builder.append(filled[number], moment, item.key, item.value, list(item.headers))
        filled[number] += 1
        counts[number] += 1
        if filled[number] == LOG_BATCH_RECORDS:
            made[number].append(_built(builders.pop(number), counts[number] - filled[number]))
            filled[number] = 0
    for number, builder in builders.items():
        made[number].append(_built(builder, counts[number] - filled[number]))
    return made, sum(counts)


def _builder() -> Any:
    return DefaultRecordBatchBuilder(
        magic=2,
        compression_type=LZ4,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )


def _built(builder: Any, base_offset: int) -> bytes:
    built = bytearray(builder.build())
    built[:8] = base_offset.to_bytes(8, "big")
    return bytes(built)


class Run:
    """One pass of a log through the projector's parts."""

    def __init__(self, generation: Generation, log: Logs, clock: Clock) -> None:
        self._generation = generation
        self._log = log
        self._clock = clock
        self._expansion = Expansion()
        self._readings = {number: self._reading(number) for number in log}
        self._reached = dict.fromkeys(log, 0)
        self.visits = self.batches = 0

    def _reading(self, number: int) -> Reading:
        item = TopicPartition(TOPIC, number)
        content = KeptRecords(b"".join(self._log[number]))
        asked = {"key_deserializer": None, "value_deserializer": None, "check_crcs": True}
        fetched = PartitionRecords(item, content, [], 0, **asked, isolation_level=READ_COMMITTED)
        return Reading(item, fetched, self._expansion)

    async def pass_through(self) -> None:
        """Take all of the log."""
        clock = self._clock
        while stretches := self._polled():
            folding = batches(stretches)
            while True:
                with clock.of("decode and fold"):
                    batch = next(folding, False)
                if batch is False:
                    break
                if isinstance(batch, Batch):
                    self.batches += 1
                    self.visits += len(batch.jobs)
                    with clock.of("encode, send, hear"):
                        await self._generation.apply(batch)

    def _polled(self) -> list[Stretch]:
        stretches = []
        with self._clock.of("read"):
            for number, reading in self._readings.items():
                records = reading.take(MAX_POLL_RECORDS // PARTITIONS, POLL_BYTES // PARTITIONS)
                if records:
                    start, self._reached[number] = self._reached[number], records[-1].offset + 1
                    name = f"{TOPIC}/{number}"
                    stretches.append(Stretch(name, start, self._reached[number], (start,), records))
        return stretches


async def measure(url: str, log: Logs, count: int) -> dict[str, float]:
    """Return the microseconds of an event in each part."""
    clock = Clock()
    async with client_of(url) as redis:
        await redis.flushall()
        projection = Projection(redis, "cost")
        await projection.begin()
        pointer = Pointer(1, 1, 1, "cluster", TOPIC, (projection.incarnation,))
        run = Run(Generation(redis, "cost", pointer), log, clock)
        before = await _redis_seconds(redis), (await redis.info("memory"))["used_memory"]
        await run.pass_through()
        clock.seconds["Redis"] = await _redis_seconds(redis) - before[0]
        size = (await redis.info("memory"))["used_memory"] - before[1]
        jobs = int(await redis.dbsize())
    each = {part: seconds / count * 1e6 for part, seconds in clock.seconds.items()}
    return each | {"visits": run.visits / count, "batch": count / run.batches, "bytes": size, "keys": jobs}


async def _redis_seconds(redis: Redis) -> float:
    told: Any = await redis.info("cpu")
    return float(told["used_cpu_user"] + told["used_cpu_sys"])


@click.command()
@click.option("--jobs", default=40_000, show_default=True, help="Jobs of five events each.")
@click.option("--rounds", default=5, show_default=True, help="The medians count.")
def main(jobs: int, rounds: int) -> None:
    """Measure and print what an event costs in each part, in microseconds of processor time."""
    made = {name: logs(jobs, apart) for name, apart in APART.items()}
    free_only_when_told()
    with tempfile.TemporaryDirectory() as directory, RedisProcess(Path(directory)) as server:
        for name, (log, count) in made.items():
            found = [asyncio.run(measure(server.url, log, count)) for _ in range(rounds)]
            click.echo(f"{name}: {count} events of {jobs} jobs")
            for part in found[0]:
                values = [each[part] for each in found]
                click.echo(f"  {part:20} {statistics.median(values):10.2f}  ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    sys.exit(main())
