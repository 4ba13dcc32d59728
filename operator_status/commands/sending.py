"""Sending reports of a command: within a limit, and with the cause when Kafka cannot be used."""

import asyncio
from collections.abc import Sequence
from typing import Final

from operator_status.delivery.kafka_client import REFUSALS, connected_producer
from operator_status.errors import KafkaAwayError, KafkaUnusableError, RefusedByKafkaError
from operator_status.event import HEADERS, Report
from operator_status.job import Acknowledgement
from operator_status.settings import KafkaSettings

PAUSE_SECONDS: Final = 0.5


async def send_all(settings: KafkaSettings, reports: Sequence[Report], limit_seconds: float) -> list[Acknowledgement]:
    """Return where Kafka has each of the reports.

    Raises KafkaUnusableError at once for what no waiting mends, and KafkaAwayError after the limit.
    """
    trouble: Exception | None = None
    try:
        async with asyncio.timeout(limit_seconds):
            while True:
                try:
                    return await _send_all(settings, reports)
                except KafkaUnusableError as error:
                    trouble = error
                    if not error.may_pass:
                        raise
                await asyncio.sleep(PAUSE_SECONDS)
    except TimeoutError:
        raise trouble or KafkaAwayError(
            address=settings.kafka_bootstrap_servers, report=reports[0], limit_seconds=limit_seconds, cause=""
        ) from None


async def _send_all(settings: KafkaSettings, reports: Sequence[Report]) -> list[Acknowledgement]:
    async with connected_producer(settings) as producer:
        places = []
        sent = []
        for report in reports:
            try:
                sent.append(await producer.send(settings.kafka_topic, report.value, report.key, headers=HEADERS))
            except REFUSALS as error:
                raise RefusedByKafkaError(report=report, reason=error) from error
        for report, future in zip(reports, sent, strict=True):
            try:
                place = await future
            except REFUSALS as error:
                raise RefusedByKafkaError(report=report, reason=error) from error
            places.append(Acknowledgement(place.topic, place.partition, place.offset))
        return places
