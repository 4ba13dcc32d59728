"""Latency: from the moment a worker sends an event to the moment the API shows it, by how many events there are."""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Final, NamedTuple

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


class _Phase(NamedTuple):
    """Events that are sent at a steady rate, and for how long."""

    load: int
    seconds: float


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
    """Watch in this process what another one sends, as workers and dApps are not one process either."""
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe()
    sender = processes.Process(
        target=_send, args=(place.services.kafka_bootstrap_servers, log.topic, theirs), daemon=True
    )
    sender.start()
    theirs.close()  # so that who waits for it notices when it dies
    try:
        async with aiohttp.ClientSession(address, connector=aiohttp.TCPConnector(limit=0)) as session:
            await _watch(session, ours, _Phase(WATCHED_PER_SECOND, WARM_UP_SECONDS))
            for _ in range(place.sizes.rounds):
                for load in place.sizes.loads:
                    taken = await _watch(session, ours, _Phase(load, place.sizes.seconds))
                    for name, part in (("p50", 0.5), ("p99", 0.99)):
                        milliseconds = 1000 * percentile(taken, part)
                        place.figures.add(f"latency/{load}/{name}", milliseconds)
                        place.figures.add_point(name, load, milliseconds)
    finally:
        sender.kill()
        sender.join()


async def _watch(session: aiohttp.ClientSession, sender: Connection, phase: _Phase) -> list[float]:
    """Have events sent; return how long those that are watched took to be shown."""
    watches: list[asyncio.Task[float]] = []
    loop = asyncio.get_running_loop()
    is_over = loop.create_future()

    def hear() -> None:
        try:
            told = sender.recv()
        except EOFError as error:
            loop.remove_reader(sender.fileno())
            is_over.set_exception(error)
            return
        if told is None:
            is_over.set_result(None)
        else:
            watches.append(asyncio.create_task(_seconds_until_shown(session, *told)))

    loop.add_reader(sender.fileno(), hear)
    try:
        sender.send(phase)
        await is_over
    finally:
        loop.remove_reader(sender.fileno())
    return await asyncio.gather(*watches)


async def _seconds_until_shown(session: aiohttp.ClientSession, job: str, sent_at: float) -> float:
    while True:
        async with session.get(STATUS, params={"jobId": job}) as answer:
            if await answer.json():
                return time.perf_counter() - sent_at
        await asyncio.sleep(ASK_AGAIN_SECONDS)


def _send(bootstrap_servers: str, topic: str, watcher: Connection) -> None:
    """Send first events of jobs, phase by phase as told; tell which are to be watched, and None after each phase.

    Both processes read the same clock.
    """
    asyncio.run(_send_phases(bootstrap_servers, topic, watcher))


async def _send_phases(bootstrap_servers: str, topic: str, watcher: Connection) -> None:
    records = _first_events()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    await producer.start()
    try:
        while True:
            phase = await asyncio.to_thread(watcher.recv)
            every = max(phase.load // WATCHED_PER_SECOND, 1)
            began = time.perf_counter()
            for number in range(max(int(phase.load * phase.seconds), 1)):
                await asyncio.sleep(max(0.0, began + number / phase.load - time.perf_counter()))
                record = next(records)
                if number % every == 0:
                    watcher.send((record.key.decode(), time.perf_counter()))
                await producer.send(topic, record.value, record.key, headers=list(record.headers))
            await producer.flush()
            watcher.send(None)
    finally:
        await producer.stop()


def _first_events() -> Iterator[SimulatedRecord]:
    """Yield the first event of each job of another simulation, none of which is in the log yet."""
    seen = -1
    # Jobs that are over at once, one after the other.
    for record in events(seed=2, jobs=0, mix=Mix(pace_seconds=0, failures=0)):
        if record.job > seen:
            seen = record.job
            yield record
