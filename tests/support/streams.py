"""Events that arrive while something else goes on."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import AIOKafkaProducer

from tests.support.deployment import Deployment
from tests.support.events import event, record

STAGES = ("started", "configuring", "running", "uploading", "finished")


@contextmanager
def streaming(deployment: Deployment, per_second: float = 100) -> Iterator[None]:
    """Have new jobs of owner 0x1111 go through their stages until the block is left."""
    is_over = threading.Event()
    sending = threading.Thread(target=lambda: asyncio.run(_send(deployment, per_second, is_over)))
    sending.start()
    try:
        yield
    finally:
        is_over.set()
        sending.join()


async def _send(deployment: Deployment, per_second: float, is_over: threading.Event) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=deployment.services.kafka_bootstrap_servers)
    await producer.start()
    number = 0
    try:
        while not is_over.is_set():
            job, stage = divmod(number, len(STAGES))
            item = event(STAGES[stage], job=f"streamed-{job}", event_id=str(number))
            value = record(0, item).value
            await producer.send(deployment.topic, value, partition=job % deployment.partitions)
            number += 1
            await asyncio.sleep(1 / per_second)
    finally:
        await producer.stop()
