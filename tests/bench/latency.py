"""Latency: from the moment a worker sends an event to the moment the API shows it, by how many events there are."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiokafka import AIOKafkaProducer

from tests.bench.catch_up import NEAR, Log, written
from tests.bench.figures import percentile
from tests.bench.place import SMALL, Place
from tests.support.client import STATUS
from worker.simulation import Mix, SimulatedRecord, events

ASK_AGAIN_SECONDS: Final = 0.002
# Of more events than this a second not each is watched: who asks for all of them would be the load.
WATCHED_PER_SECOND: Final = 200
WARM_UP_SECONDS: Final = 0.5
LIMIT_SECONDS: Final = 300.0


def measure_latency(place: Place) -> None:
    """Measure publish-to-visible at each load, with an append-only file as in production."""
    log = written(place, NEAR, SMALL.jobs)
    with place.redis("latency", "on") as services, log.deployment(place, services, "latency") as deployment:
        process = deployment.start_projector()
        deployment.wait_until_applied(LIMIT_SECONDS)
        address = deployment.start_api()
        asyncio.run(_measure(place, log, address))
        deployment.stop(process)


async def _measure(place: Place, log: Log, address: str) -> None:
    async with aiohttp.ClientSession(address, connector=aiohttp.TCPConnector(limit=0)) as session:
        producer = AIOKafkaProducer(bootstrap_servers=place.services.kafka_bootstrap_servers, acks="all")
        await producer.start()
        try:
            publisher = _Publisher(producer, session, log.topic, _first_events())
            await publisher.publish(WATCHED_PER_SECOND, WARM_UP_SECONDS)
            for _ in range(place.sizes.rounds):
                for load in place.sizes.loads:
                    taken = await publisher.publish(load, place.sizes.seconds)
                    for name, part in (("p50", 0.5), ("p99", 0.99)):
                        milliseconds = 1000 * percentile(taken, part)
                        place.figures.add(f"latency/{load}/{name}", milliseconds)
                        place.figures.add_point(name, load, milliseconds)
        finally:
            await producer.stop()


@dataclass(frozen=True)
class _Publisher:
    """Sends first events of jobs, and watches for their jobs."""

    producer: AIOKafkaProducer
    session: aiohttp.ClientSession
    topic: str
    records: Iterator[SimulatedRecord]

    async def publish(self, load: int, seconds: float) -> list[float]:
        """Send at a steady rate; return how long those that are watched took to be shown."""
        watches = []
        every = max(load // WATCHED_PER_SECOND, 1)
        began = time.perf_counter()
        for number in range(max(int(load * seconds), 1)):
            wait = began + number / load - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            record = next(self.records)
            sent_at = time.perf_counter()
            await self.producer.send(self.topic, record.value, record.key, headers=list(record.headers))
            if number % every == 0:
                watches.append(asyncio.create_task(_seconds_until_shown(self.session, record, sent_at)))
        return await asyncio.gather(*watches)


async def _seconds_until_shown(session: aiohttp.ClientSession, record: SimulatedRecord, sent_at: float) -> float:
    while True:
        async with session.get(STATUS, params={"jobId": record.key.decode()}) as answer:
            if await answer.json():
                return time.perf_counter() - sent_at
        await asyncio.sleep(ASK_AGAIN_SECONDS)


def _first_events() -> Iterator[SimulatedRecord]:
    """Yield the first event of each job of another simulation, none of which is in the log yet."""
    seen = -1
    # Jobs that are over at once, one after the other.
    for record in events(seed=2, jobs=0, mix=Mix(pace_seconds=0, failures=0)):
        if record.job > seen:
            seen = record.job
            yield record
