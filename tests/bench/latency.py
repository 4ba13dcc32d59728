"""Latency: from the moment a worker sends an event to the moment the API shows it."""

import asyncio
import statistics
import time
from collections.abc import Iterator

import aiohttp
from aiokafka import AIOKafkaProducer

from tests.bench.catch_up import CatchUp
from worker.simulation import Mix, SimulatedRecord, events

EVENTS_PER_SECOND = 200
SECONDS = 15
WARM_UP_EVENTS = 200
ASK_AGAIN_SECONDS = 0.002
STATUS = "/api/v1/operator/status"


async def measure_latency(run: CatchUp) -> Iterator[str]:
    """Return the lines that tell median and 99th percentile of publish-to-visible."""
    process = run.deployment.start_projector()
    address = await asyncio.to_thread(run.deployment.start_api)
    await asyncio.to_thread(run.deployment.wait_until_applied, 300.0)
    async with aiohttp.ClientSession(address) as session:
        producer = AIOKafkaProducer(bootstrap_servers=run.services.kafka_bootstrap_servers, acks="all")
        await producer.start()
        try:
            seconds = await _publish_and_watch(producer, session, run.deployment.topic)
        finally:
            await producer.stop()
    run.deployment.stop(process)
    ordered = sorted(seconds[WARM_UP_EVENTS:])
    median, late = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
    return iter(
        [
            f"publish to visible over HTTP at {EVENTS_PER_SECOND} events/s ({len(ordered)} events)",
            f"  median {median * 1000:.1f} ms   p99 {late * 1000:.1f} ms",
        ]
    )


async def _publish_and_watch(producer: AIOKafkaProducer, session: aiohttp.ClientSession, topic: str) -> list[float]:
    """Send the first event of a job at a steady rate, and watch for each until its job is shown."""
    watches = []
    began = time.perf_counter()
    for number, record in enumerate(_first_events(EVENTS_PER_SECOND * SECONDS)):
        await asyncio.sleep(max(0.0, began + number / EVENTS_PER_SECOND - time.perf_counter()))
        watches.append(asyncio.create_task(_seconds_until_shown(producer, session, topic, record)))
    return await asyncio.gather(*watches)


async def _seconds_until_shown(
    producer: AIOKafkaProducer, session: aiohttp.ClientSession, topic: str, record: SimulatedRecord
) -> float:
    sent_at = time.perf_counter()
    await producer.send(topic, record.value, record.key, headers=list(record.headers))
    while True:
        async with session.get(STATUS, params={"jobId": record.key.decode()}) as answer:
            if await answer.json():
                return time.perf_counter() - sent_at
        await asyncio.sleep(ASK_AGAIN_SECONDS)


def _first_events(count: int) -> Iterator[SimulatedRecord]:
    """Yield the first event of each of so many jobs, none of which is in the log yet."""
    seen: set[int] = set()
    for record in events(seed=2, jobs=count, mix=Mix()):
        if record.job not in seen:
            seen.add(record.job)
            yield record
