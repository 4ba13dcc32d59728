"""Sending simulated records to Kafka: in order, when they are due, as far as memory and Kafka allow."""

import asyncio
from asyncio import Event, Future
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.partitioner import DefaultPartitioner

from service.errors import ServiceUnavailableError
from service.settings import KafkaSettings
from worker.simulation import SimulatedRecord

BATCH_BYTES: Final = 256 * 1024
END_SECONDS: Final = 4.0  # longest wait for Kafka when asked to end
SOON_SECONDS: Final = 0.002  # not worth a sleep
REMEMBERED_KEYS: Final = 65_536  # hashing a key takes Python as long as everything else about a record

_partition_of: Final = lru_cache(REMEMBERED_KEYS)(DefaultPartitioner())


class Sending:
    """One run of sending; its counters may be read meanwhile.

    A batch for each partition is filled and handed to the producer when it is full, or when nothing more is due.
    """

    def __init__(self, producer: AIOKafkaProducer, settings: KafkaSettings, is_asked_to_end: Event) -> None:
        """Prepare it; the producer is started."""
        self._producer = producer
        self._settings = settings
        self._topic = settings.kafka_topic
        self._address = settings.kafka_bootstrap_servers
        self._is_asked_to_end = is_asked_to_end
        self._partitions: tuple[int, ...] = ()
        self._batches: dict[int, Any] = {}
        self._failure: BaseException | None = None
        self.sent = 0
        self.acknowledged = 0
        self.garbage = 0
        self.jobs = 0

    async def run(self, records: Iterator[SimulatedRecord], *, is_paced: bool) -> None:
        """Send the records, each when it is due (paced) or as fast as Kafka takes them, until asked to end.

        Asked to end, it finishes what it has begun, within a limit. Raises ServiceUnavailableError when Kafka refuses
        a record for good, or has not acknowledged all in the end.
        """
        sending = asyncio.create_task(self._send_all(records, is_paced=is_paced))
        asking = asyncio.create_task(self._is_asked_to_end.wait())
        await asyncio.wait({sending, asking}, return_when=asyncio.FIRST_COMPLETED)
        asking.cancel()
        await asyncio.wait({sending}, timeout=END_SECONDS)  # it may be waiting for a Kafka that is away
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
        await self._flush()

    async def _send_all(self, records: Iterator[SimulatedRecord], *, is_paced: bool) -> None:
        self._partitions = tuple(sorted(await self._producer.partitions_for(self._topic)))
        begin = asyncio.get_running_loop().time()
        for record in records:
            if is_paced:
                await self._wait_until(begin + record.due_seconds)
            if self._is_asked_to_end.is_set():
                break
            await self._add(record)
        await self._hand_over_all()

    async def _flush(self) -> None:
        limit_seconds = END_SECONDS if self._is_asked_to_end.is_set() else self._settings.start_timeout_seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_seconds):
                await self._producer.flush()
                await asyncio.sleep(0)  # lets the last acknowledgements be counted
        self._check()
        if missing := self.sent - self.acknowledged:
            raise ServiceUnavailableError(
                f"Kafka at {self._address} has not acknowledged {missing} of {self.sent} records in {limit_seconds:g} s"
            )

    async def _wait_until(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        if due - loop.time() > SOON_SECONDS:
            await self._hand_over_all()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._is_asked_to_end.wait()

    async def _add(self, record: SimulatedRecord) -> None:
        partition = _partition_of(record.key, self._partitions, self._partitions)
        while True:
            batch = self._batches.get(partition) or self._batches.setdefault(partition, self._producer.create_batch())
            if batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers):
                break
            await self._hand_over(partition)
        self.sent += 1
        self.garbage += record.garbage is not None
        self.jobs = max(self.jobs, record.job + 1)

    async def _hand_over_all(self) -> None:
        for partition in tuple(self._batches):
            await self._hand_over(partition)

    async def _hand_over(self, partition: int) -> None:
        """Give a batch to the producer, which takes it when the one before has left; wait as long as that takes."""
        batch = self._batches.pop(partition)
        self._check()
        while True:
            try:
                future: Future[Any] = await self._producer.send_batch(batch, self._topic, partition=partition)
            except KafkaTimeoutError:
                continue  # Kafka is away, and may come back
            except KafkaError as error:
                raise self._refused(error) from error
            else:
                future.add_done_callback(partial(self._count, batch.record_count()))
                return

    def _count(self, records: int, future: "Future[Any]") -> None:
        if not future.cancelled():
            self._failure = future.exception() or self._failure
            self.acknowledged += 0 if future.exception() else records

    def _check(self) -> None:
        if self._failure:
            raise self._refused(self._failure) from self._failure

    def _refused(self, error: BaseException) -> ServiceUnavailableError:
        return ServiceUnavailableError(f"Kafka at {self._address} refused a record of {self._topic}: {error!r}")
