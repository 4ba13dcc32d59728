"""Dead letters: records that cannot be understood, kept whole beside the log, with the reason.

A letter has the record's key, value and headers, and tells in headers of its own what is wrong (see headers.py).
Topic, partition and offset identify it: after a crash the same letter may be written again.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from tenacity import AsyncRetrying, retry_if_result, wait_fixed

from projector.errors import DeadLetterError
from projector.fold.record import RefusedRecord
from projector.letters.headers import Decision, Headers, headers_of, headers_of_range, is_letter
from projector.letters.sending import STALL_SECONDS, Sender
from projector.log.codecs import MAX_EXPANDED_BYTES
from projector.log.topics import MAX_LETTER_BYTES
from projector.settings import ProjectorSettings
from schemas.redis_layout import partition_name
from service.kafka import REQUEST_TIMEOUT_MILLISECONDS

PROBE_PAUSE_SECONDS: Final = 1.0
# As much as one record of the log may take, so every topic that takes its letter takes such a batch.
LETTERS_BATCH_BYTES: Final = 256 * 1024
MAX_EXPANDED_LETTER_BYTES: Final = MAX_EXPANDED_BYTES + MAX_LETTER_BYTES

_log = structlog.get_logger(__name__)


def new_producer(settings: ProjectorSettings) -> AIOKafkaProducer:
    """Return a producer that can write letters; it is not connected yet."""
    return AIOKafkaProducer(
        **settings.kafka_client_options(),
        acks="all",  # and not idempotent: such a producer of aiokafka may send nothing more once all brokers were away
        compression_type="zstd",  # a record that fitted into the log only when compressed fits into a letter as well
        max_batch_size=LETTERS_BATCH_BYTES,
        max_request_size=MAX_EXPANDED_LETTER_BYTES,
        request_timeout_ms=REQUEST_TIMEOUT_MILLISECONDS,
    )


async def write_letter(
    producer: AIOKafkaProducer,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
) -> None:
    """Return when Kafka has acknowledged the letter."""
    if key is None and value is None:  # aiokafka's `send` refuses what its batches can hold
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None, headers=headers)
        await (await producer.send_batch(batch, topic, partition=0))
    else:
        await producer.send_and_wait(topic, value=value, key=key, headers=headers)


class Letters(Protocol):
    """Where the letters of a batch go before it is applied."""

    def is_back(self) -> bool:
        """Whether letters can be written again after a failure."""

    async def deliver(self, refused: Sequence[RefusedRecord]) -> None:
        """Return when every record has a letter; DeadLetterError."""


class DeadLetterWriter:
    """Writes letters and waits until Kafka has acknowledged them.

    After a failure one letter is tried again and again in the background; when it is acknowledged, the topic is back.
    """

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._sender = Sender(self._write_about)
        self._probe: asyncio.Task[None] | None = None

    def is_back(self) -> bool:
        """Whether letters can be written again after a failure."""
        return self._probe is None or self._probe.done()

    async def stop(self) -> None:
        """Stop trying, and close the connections."""
        if self._probe:
            self._probe.cancel()
        self._sender.stop()
        await self._producer.stop()

    async def deliver(self, refused: Sequence[RefusedRecord]) -> None:
        """Return when every record has a letter; DeadLetterError names the partitions of those that failed.

        After nothing was acknowledged for a while no more are tried; their partitions find out with the next batch. A
        letter that was written into the log is one already: a letter about a letter could go round for ever.
        """
        failed = await self._sender.send(_without_letters(refused))
        if failed:
            first, cause = failed[0]
            if self.is_back():  # one that was acknowledged would only be written again
                self._probe = asyncio.create_task(self._try_until_acknowledged(first))
            partitions = {partition_name(one.record.topic, one.record.partition) for one, _ in failed}
            raise DeadLetterError(frozenset(partitions), cause)

    async def deliver_range(self, partition: str, start: int, to: int, decision: Decision) -> None:
        """Return when a letter tells that the offsets from `start` to before `to` are passed over; DeadLetterError."""
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await self._write(None, None, headers_of_range(partition, start, to, decision))
        except (KafkaError, TimeoutError) as error:
            raise DeadLetterError(frozenset({partition}), error) from error

    async def _try_until_acknowledged(self, refused: RefusedRecord) -> None:
        again = AsyncRetrying(wait=wait_fixed(PROBE_PAUSE_SECONDS), retry=retry_if_result(bool))
        await again(self._sender.send, [refused])

    async def _write_about(self, refused: RefusedRecord) -> None:
        await self._write(refused.record.key, refused.record.value, headers_of(refused))

    async def _write(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        await write_letter(self._producer, self._topic, key, value, headers)


def _without_letters(refused: Sequence[RefusedRecord]) -> Sequence[RefusedRecord]:
    """Return the records that are no letters themselves; the others are named in the log of this process."""
    letters = [one.record for one in refused if is_letter(one.record)]
    if not letters:
        return refused
    first = f"{partition_name(letters[0].topic, letters[0].partition)}/{letters[0].offset}"
    _log.warning("letters stand in the log, and no others are written about them", letters=len(letters), first=first)
    return [one for one in refused if not is_letter(one.record)]
