"""Sending letters about records: very many at a time, and each once, as far as a process can know.

Where very many records are refused at once, what counts is not how long all their letters take, but that Kafka goes on
acknowledging some. What was acknowledged before another letter failed is remembered, for the batch comes again; and a
letter that was given up may still be on its way, so it is waited for instead of being sent a second time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from projector.fold.record import Record, RefusedRecord, fingerprint_of

# So long nothing at all may be acknowledged.
STALL_SECONDS: Final = 5.0
LETTERS_AT_ONCE: Final = 500
# What is refused again when the batches under way are read again; it is a few of these.
REMEMBERED_LETTERS: Final = 50_000

Failure = tuple[RefusedRecord, Exception]
# Topic, partition and fingerprint of a record: offsets are given again where a topic is created again.
_Place = tuple[str, int, str]


class Sender:
    """Sends letters, and knows which of them Kafka has acknowledged."""

    def __init__(self, write: Callable[[RefusedRecord], Awaitable[None]]) -> None:
        self._write = write
        self._acknowledged: dict[_Place, None] = {}
        self._under_way: dict[_Place, asyncio.Task[None]] = {}

    def stop(self) -> None:
        """Give up what is under way."""
        for task in self._under_way.values():
            task.cancel()

    async def send(self, refused: Sequence[RefusedRecord]) -> list[Failure]:
        """Return the letters that were not acknowledged; after nothing was for STALL_SECONDS no more are tried."""
        failures: list[Failure] = []
        for first in range(0, len(refused), LETTERS_AT_ONCE):
            failures += await self._send_some(refused[first : first + LETTERS_AT_ONCE])
            if any(map(_is_stalled, failures)):
                break
        return failures

    async def _send_some(self, refused: Sequence[RefusedRecord]) -> list[Failure]:
        failures = await self._send_together(refused)
        too_large = [one for one, error in failures if isinstance(error, MessageSizeTooLargeError)]
        failures = [failure for failure in failures if not isinstance(failure[1], MessageSizeTooLargeError)]
        for one in too_large:  # it may have been the batch that was too large for the topic
            failures += await self._send_together([one])
            if any(map(_is_stalled, failures)):
                break
        return failures

    async def _send_together(self, refused: Sequence[RefusedRecord]) -> list[Failure]:
        sent = [(one, task) for one in refused if (task := self._task_of(one))]
        pending = {task for _, task in sent}
        while pending:
            done, pending = await asyncio.wait(pending, timeout=STALL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
        return [(one, error) for one, task in sent if (error := _error_of(task))]

    def _task_of(self, refused: RefusedRecord) -> asyncio.Task[None] | None:
        """Return what sends the letter about a record; None when it has been acknowledged."""
        place = _place_of(refused.record)
        if place in self._acknowledged:
            return None
        if not (task := self._under_way.get(place)):
            task = self._under_way[place] = asyncio.create_task(self._send_one(place, refused))
            task.add_done_callback(_consume)
        return task

    async def _send_one(self, place: _Place, refused: RefusedRecord) -> None:
        try:
            await self._write(refused)
            self._acknowledged[place] = None
            if len(self._acknowledged) > REMEMBERED_LETTERS:
                del self._acknowledged[next(iter(self._acknowledged))]
        finally:
            del self._under_way[place]


def _place_of(record: Record) -> _Place:
    return record.topic, record.partition, fingerprint_of(record)


def _error_of(task: asyncio.Task[None]) -> Exception | None:
    """Return why a letter was not acknowledged; raises what is no failure of Kafka."""
    if not task.done():
        return TimeoutError(f"nothing was acknowledged for {STALL_SECONDS:.0f} s")
    try:
        task.result()
    except (KafkaError, TimeoutError) as error:
        return error
    return None


def _is_stalled(failure: Failure) -> bool:
    return isinstance(failure[1], TimeoutError | KafkaTimeoutError)


def _consume(task: asyncio.Task[None]) -> None:
    """Let nobody be warned of a failed letter that was given up before."""
    if not task.cancelled():
        task.exception()
