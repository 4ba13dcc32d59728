"""From the outbox to Kafka: in order, again and again, until each report is acknowledged.

Case 1: Kafka is away, or has not got the topic. Everything stays in the outbox; connecting is tried for ever.
Case 2: Kafka goes away while reports are under way. The producer itself goes on trying, and its sequence numbers let
Kafka drop what it has already.
Case 3: that takes long, or the producer is of no further use (its sequence is broken, the topic was deleted). A new
producer sends again what is not acknowledged; Kafka may then have a report twice, which is harmless: it is the same.
Case 4: Kafka refuses a batch for good. Its reports are sent again one by one, and one that is refused alone leaves the
outbox with the reason.
"""

import asyncio
import logging
from asyncio import FIRST_COMPLETED, Future
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidMessageError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from service.kafka import diagnosed
from service.settings import KafkaSettings
from worker.app import new_producer, topic_missing
from worker.errors import KafkaUnusableError, RefusedByKafkaError
from worker.event import HEADERS
from worker.outbox import Acknowledgement, Entry, Outbox

BATCH_REPORTS: Final = 500
PAUSE_SECONDS: Final = 1.0
STALL_SECONDS: Final = 5.0  # without any acknowledgement; then a new producer is tried

_REFUSALS: Final = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidMessageError)
_log = logging.getLogger(__name__)


class Delivery:
    """The task that empties an outbox; `trouble` says why it cannot, as far as it is known."""

    def __init__(self, settings: KafkaSettings, outbox: Outbox) -> None:
        """Prepare it."""
        self._settings = settings
        self._outbox = outbox
        self._at_once = BATCH_REPORTS
        self.trouble: Exception | None = None

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            try:
                await self._connect_and_send()
            except Exception as error:  # noqa: BLE001 - whatever it is, reports are kept, tried again, and it is told
                self._note(error)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _connect_and_send(self) -> None:
        async with new_producer(self._settings) as producer:
            await self._start(producer)
            await self._check_topic(producer)
            while True:
                await self._send(producer, await self._outbox.first(self._at_once))

    async def _start(self, producer: AIOKafkaProducer) -> None:
        """Connect; KafkaUnusableError names the cause, which aiokafka keeps for itself."""
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            fault = await diagnosed(self._settings, error)
            raise KafkaUnusableError(cause=fault.cause, remedy=fault.remedy) from error

    async def _check_topic(self, producer: AIOKafkaProducer) -> None:
        # Asked for by its name, a missing topic would be waited for, or created with the broker's defaults.
        metadata = await producer.client.fetch_all_metadata()
        if self._settings.kafka_topic not in metadata.topics():
            raise topic_missing(self._settings)

    async def _send(self, producer: AIOKafkaProducer, entries: Sequence[Entry]) -> None:
        """Send entries, each of which leaves the outbox with its outcome; raise what is not about one of them."""
        under_way: set[Future[Any]] = set()
        try:
            for entry in entries:
                under_way |= await self._begin(producer, entry, batch_reports=len(entries))
            while under_way:
                done, under_way = await asyncio.wait(under_way, timeout=STALL_SECONDS, return_when=FIRST_COMPLETED)
                _check(done)
        finally:
            for future in under_way:
                future.cancel()
        if not self._outbox:
            self._at_once = BATCH_REPORTS
        if self.trouble:
            _log.info("Kafka takes reports again")
            self.trouble = None

    async def _begin(self, producer: AIOKafkaProducer, entry: Entry, batch_reports: int) -> set["Future[Any]"]:
        """Hand an entry to the producer; return what will have its outcome, or nothing when it was refused at once."""
        report = entry.report
        try:
            future = await producer.send(self._settings.kafka_topic, report.value, report.key, headers=HEADERS)
        except _REFUSALS as error:
            self._refuse(entry, error)
            return set()
        future.add_done_callback(partial(self._settle, entry, batch_reports))
        return {future}

    def _settle(self, entry: Entry, batch_reports: int, future: "Future[Any]") -> None:
        """Settle an entry when its outcome is final."""
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            place = future.result()
            self._outbox.settle(entry, Acknowledgement(place.topic, place.partition, place.offset))
        elif isinstance(error, _REFUSALS) and batch_reports == 1:
            self._refuse(entry, error)
        elif isinstance(error, _REFUSALS):
            self._at_once = 1

    def _refuse(self, entry: Entry, error: BaseException) -> None:
        self._outbox.settle(entry, RefusedByKafkaError(report=entry.report, reason=error))

    def _note(self, error: Exception) -> None:
        if repr(error) != repr(self.trouble):
            _log.warning("%d reports wait: %s", len(self._outbox), error)
        self.trouble = error


def _check(done: AbstractSet["Future[Any]"]) -> None:
    """Raise when nothing was done in time, or when something failed that may succeed with a new producer."""
    if not done:
        raise TimeoutError(f"nothing was acknowledged for {STALL_SECONDS:g} s")
    for future in done:
        error = future.exception()
        if error and not isinstance(error, _REFUSALS):
            raise error
