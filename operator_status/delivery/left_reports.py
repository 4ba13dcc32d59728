"""Sending what others left in the spool."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from operator_status.delivery.kafka_client import REFUSALS
from operator_status.delivery.spool import Spool, SpooledReport
from operator_status.event import HEADERS

STALL_SECONDS = 5.0  # without an acknowledgement; then a new producer is tried


async def send_left(producer: AIOKafkaProducer, topic: str, spool: Spool, reports: Sequence[SpooledReport]) -> int:
    """Send reports and remove each that Kafka has; return how many it has.

    Raises KafkaError and TimeoutError when Kafka is away; what it has not acknowledged stays in the spool. What it
    refuses for good is set aside.
    """
    async with asyncio.timeout(STALL_SECONDS):
        sent = [await _send(producer, topic, report) for report in reports]
    delivered = 0
    for report, future in zip(reports, sent, strict=True):
        try:
            if future is None:
                raise REFUSALS[0]
            async with asyncio.timeout(STALL_SECONDS):
                await future
        except REFUSALS:
            spool.set_aside(report.path)
            continue
        spool.remove(report.path)
        delivered += 1
    return delivered


async def _send(producer: AIOKafkaProducer, topic: str, report: SpooledReport) -> "asyncio.Future[object] | None":
    try:
        future: asyncio.Future[object] = await producer.send(topic, report.value, report.key, headers=HEADERS)
    except REFUSALS:
        return None
    return future
