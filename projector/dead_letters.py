"""Dead letters: records that cannot be understood, kept whole beside the log, with the reason.

A letter has the record's key, value and headers, and Kafka Connect's header names, so that existing tools read it.
Topic, partition and offset identify it: after a crash the same letter may be written again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from projector.errors import DeadLetterError
from projector.partition import Record
from schemas.decode import RefusedEventError
from schemas.redis_layout import partition_name

HEADER_PREFIX: Final = "__connect.errors."
STAGE: Final = "VALUE_CONVERTER"  # Kafka Connect's name for the step that failed
DELIVERY_TIMEOUT_SECONDS: Final = 10.0
# A record of the log, with our headers around it, has to fit.
MAX_LETTER_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record, and why it was refused."""

    record: Record
    refusal: RefusedEventError

    @property
    def headers(self) -> list[tuple[str, bytes | None]]:
        """The record's own headers, then where it was and what was wrong with it."""
        about = {
            "topic": self.record.topic,
            "partition": str(self.record.partition),
            "offset": str(self.record.offset),
            "stage": STAGE,
            "exception.class.name": self.refusal.reason.value,
            "exception.message": str(self.refusal),
        }
        return [*self.record.headers, *((HEADER_PREFIX + name, text.encode()) for name, text in about.items())]


class DeadLetterWriter:
    """Writes letters and waits until Kafka has acknowledged them."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

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
            raise DeadLetterError(frozenset(failures), next(iter(failures.values()))[0])

    async def _send(self, letter: DeadLetter) -> None:
        async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS):
            await self._producer.send_and_wait(
                self._topic, value=letter.record.value, key=letter.record.key, headers=letter.headers
            )
