"""Dead letters: records that cannot be understood, kept whole beside the log, with the reason.

A letter has the record's key, value and headers, and Kafka Connect's header names, so that existing tools read it.
Topic, partition and offset identify it: after a crash the same letter may be written again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from tenacity import AsyncRetrying, retry_if_exception_type, wait_fixed

from projector.assignment.partition import Record
from projector.errors import DeadLetterError
from projector.log.codecs import MAX_EXPANDED_BYTES
from projector.settings import ProjectorSettings
from schemas.decode import Reason
from schemas.redis_layout import partition_name
from service.kafka import REQUEST_TIMEOUT_MILLISECONDS

HEADER_PREFIX: Final = "__connect.errors."
STAGE: Final = "VALUE_CONVERTER"  # Kafka Connect's name for the step that failed
DELIVERY_TIMEOUT_SECONDS: Final = 5.0
PROBE_PAUSE_SECONDS: Final = 1.0
# A batch of the log with one record, with our headers around it, has to fit: as it is compressed, and as it is.
MAX_LETTER_BYTES: Final = 2 * 1024 * 1024
MAX_EXPANDED_LETTER_BYTES: Final = MAX_EXPANDED_BYTES + MAX_LETTER_BYTES

Headers = list[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record, and why it was refused."""

    record: Record
    reason: Reason
    message: str

    @property
    def headers(self) -> Headers:
        """The record's own headers, then where it was and what was wrong with it."""
        about = {
            "topic": self.record.topic,
            "partition": str(self.record.partition),
            "offset": str(self.record.offset),
            "stage": STAGE,
            "exception.class.name": self.reason.value,
            "exception.message": self.message,
        }
        return [*self.record.headers, *((HEADER_PREFIX + name, text.encode()) for name, text in about.items())]


def new_producer(settings: ProjectorSettings) -> AIOKafkaProducer:
    """Return a producer that can write letters; it is not connected yet."""
    return AIOKafkaProducer(
        **settings.kafka_client_options(),
        acks="all",  # and not idempotent: such a producer of aiokafka may send nothing more once all brokers were away
        compression_type="zstd",  # a record that fitted into the log only when compressed fits into a letter as well
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

    async def deliver(self, letters: Sequence[DeadLetter]) -> None:
        """Return when every letter is in the log; DeadLetterError."""


class DeadLetterWriter:
    """Writes letters and waits until Kafka has acknowledged them.

    After a failure one letter is tried again and again in the background; when it is acknowledged, the topic is back.
    """

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._probe: asyncio.Task[None] | None = None

    def is_back(self) -> bool:
        """Whether letters can be written again after a failure."""
        return self._probe is None or self._probe.done()

    async def stop(self) -> None:
        """Stop trying, and close the connections."""
        if self._probe:
            self._probe.cancel()
        await self._producer.stop()

    async def deliver(self, letters: Sequence[DeadLetter]) -> None:
        """Return when every letter is in the log; DeadLetterError names the partitions of those that are not."""
        outcomes = await asyncio.gather(*(self._send(letter) for letter in letters), return_exceptions=True)
        failures: defaultdict[str, list[Exception]] = defaultdict(list)
        for letter, outcome in zip(letters, outcomes, strict=True):
            if isinstance(outcome, KafkaError | TimeoutError):
                failures[partition_name(letter.record.topic, letter.record.partition)].append(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
        if failures:
            if self.is_back():
                self._probe = asyncio.create_task(self._try_until_acknowledged(letters[0]))
            raise DeadLetterError(frozenset(failures), next(iter(failures.values()))[0])

    async def _try_until_acknowledged(self, letter: DeadLetter) -> None:
        async for attempt in AsyncRetrying(
            wait=wait_fixed(PROBE_PAUSE_SECONDS), retry=retry_if_exception_type((KafkaError, TimeoutError))
        ):
            with attempt:
                await self._send(letter)

    async def write(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Return when one letter is in the log; raises KafkaError or TimeoutError."""
        async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS):
            await write_letter(self._producer, self._topic, key, value, headers)

    async def _send(self, letter: DeadLetter) -> None:
        await self.write(letter.record.key, letter.record.value, letter.headers)
