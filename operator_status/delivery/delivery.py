"""From the outbox to Kafka, in a thread of its own: in order, again and again, until each report is acknowledged.

Case 1: Kafka is away, or has not got the topic. Everything stays in the outbox, and on disk where there is a spool;
connecting is tried for ever.
Case 2: Kafka goes away while reports are under way. The producer itself goes on trying, and its sequence numbers let
Kafka drop what it has already.
Case 3: that takes long, or the producer is of no further use (its sequence is broken, the topic was deleted). A new
producer sends again what is not acknowledged; Kafka may then have a report twice, which is harmless: it is the same.
Case 4: Kafka refuses a batch for good. Its reports are sent again one by one, and one that is refused alone leaves the
outbox with the reason.
"""

import asyncio
import concurrent.futures
import logging
from asyncio import FIRST_COMPLETED, Future
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from operator_status.delivery.outbox import Entry, Outbox
from operator_status.delivery.spool import Spool, SpooledReport
from operator_status.delivery.thread import LoopThread
from operator_status.errors import RefusedByKafkaError
from operator_status.event import HEADERS
from operator_status.job import Acknowledgement
from operator_status.kafka_access import KafkaAccess

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

BATCH_REPORTS: Final = 500
PAUSE_SECONDS: Final = 1.0
STALL_SECONDS: Final = 5.0  # without any acknowledgement; then a new producer is tried
LOOK_AGAIN_SECONDS: Final = 60.0  # for what others left in the spool
KEEP_AGAIN_SECONDS: Final = 5.0  # when a report could not be written to the spool
CANCEL_AGAIN_SECONDS: Final = 1.0  # for a client that has lost it, as `asyncio.wait_for` of Python 3.11 may

_log = logging.getLogger(__name__)


class Delivery:
    """Empties an outbox; `trouble` says why it cannot, as far as it is known."""

    def __init__(self, settings: KafkaAccess, outbox: Outbox, spool: Spool | None) -> None:
        """Prepare it; `start` begins."""
        self._settings = settings
        self._outbox = outbox
        self._spool = spool
        self._at_once = BATCH_REPORTS
        self._limit_seconds: float | None = None
        self._spool_trouble = ""
        self.trouble: Exception | None = None
        self.has_delivered = False
        self._thread = LoopThread(self._main)

    def start(self) -> None:
        """Begin, in a thread that keeps no process from ending."""
        self._thread.start()
        self._outbox.changed = self._thread.notice

    def end(self, limit_seconds: float) -> None:
        """Deliver what is queued, within the limit, and end; `ended` tells when."""
        self._limit_seconds = limit_seconds
        self._thread.notice()

    @property
    def ended(self) -> concurrent.futures.Future[None]:
        """A concurrent future that is done when the thread has nothing left to do."""
        return self._thread.ended

    async def _main(self) -> None:
        tasks = [asyncio.create_task(self._deliver())]
        if self._spool:
            tasks.append(asyncio.create_task(self._keep(self._spool)))
        try:
            while self._limit_seconds is None:
                await self._thread.noticed()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limit_seconds):
                    while not self._is_done():
                        await self._thread.noticed()
        finally:
            while running := [task for task in tasks if not task.done()]:
                for task in running:
                    task.cancel()
                await asyncio.wait(running, timeout=CANCEL_AGAIN_SECONDS)
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._spool:
                self._keep_once(self._spool)

    def _is_done(self) -> bool:
        """Tell whether there is nothing to wait for: all is in Kafka, or on disk while Kafka is away."""
        is_safe = self._spool is not None and self.trouble is not None and not self._outbox.not_kept()
        return len(self._outbox) == 0 or is_safe

    async def _deliver(self) -> None:
        while True:
            try:
                await self._connect_and_send()
            except Exception as error:  # noqa: BLE001 - whatever it is, reports are kept, tried again, and it is told
                self._note(error)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _connect_and_send(self) -> None:
        from operator_status.delivery.kafka_client import connected_producer  # noqa: PLC0415 - the job does not wait for it

        async with connected_producer(self._settings) as producer:
            while True:
                await self._send_all(producer)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_SECONDS if self._spool else None):
                        while len(self._outbox) == 0:
                            await self._thread.noticed()

    async def _send_all(self, producer: "AIOKafkaProducer") -> None:
        """Send what is in the outbox, and between its batches what others left in the spool."""
        from operator_status.delivery.left_reports import send_left  # noqa: PLC0415 - the job does not wait for it

        with ExitStack() as stack:
            left: Iterator[SpooledReport] = iter(())
            if self._spool and stack.enter_context(self._spool.lock()):
                left = self._spool.left()
            while True:
                if entries := self._outbox.first(self._at_once):
                    await self._send(producer, entries)
                elif self._spool and (reports := list(islice(left, self._at_once))):
                    others = self._of_others(self._spool, reports)
                    await send_left(producer, self._settings.kafka_topic, self._spool, others)
                else:
                    return

    def _of_others(self, spool: Spool, reports: Sequence[SpooledReport]) -> Sequence[SpooledReport]:
        """Return which reports are not our own, which go through the outbox."""
        self._forget_gone(spool)
        ours = {spool.path_of(entry.report) for entry in self._outbox.first(self._outbox.limit)}
        return [report for report in reports if report.path not in ours and report.path.exists()]

    async def _send(self, producer: "AIOKafkaProducer", entries: Sequence[Entry]) -> None:
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
        if not len(self._outbox):
            self._at_once = BATCH_REPORTS
        if self.trouble:
            _log.info("Kafka takes reports again")
            self.trouble = None

    async def _begin(self, producer: "AIOKafkaProducer", entry: Entry, batch_reports: int) -> set[Future[Any]]:
        """Hand an entry to the producer; return what will have its outcome, or nothing when it was refused at once."""
        report = entry.report
        try:
            future = await producer.send(self._settings.kafka_topic, report.value, report.key, headers=HEADERS)
        except _refusals() as error:
            self._refuse(entry, error)
            return set()
        future.add_done_callback(partial(self._settle, entry, batch_reports))
        return {future}

    def _settle(self, entry: Entry, batch_reports: int, future: Future[Any]) -> None:
        """Settle an entry when its outcome is final."""
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            place = future.result()
            self.has_delivered = True
            self._outbox.settle(entry, Acknowledgement(place.topic, place.partition, place.offset))
        elif isinstance(error, _refusals()) and batch_reports == 1:
            self._refuse(entry, error)
        elif isinstance(error, _refusals()):
            self._at_once = 1

    def _refuse(self, entry: Entry, error: BaseException) -> None:
        self._outbox.settle(entry, RefusedByKafkaError(report=entry.report, reason=error))

    def _note(self, error: Exception) -> None:
        if repr(error) != repr(self.trouble):
            _log.warning("%d reports wait: %s", len(self._outbox), error)
        self.trouble = error
        self._thread.notice()

    async def _keep(self, spool: Spool) -> None:
        """Write what waits to disk, and remove what has left the outbox, whenever that changes."""
        while True:
            is_whole = self._keep_once(spool)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if is_whole else KEEP_AGAIN_SECONDS):
                    await self._thread.noticed()

    def _keep_once(self, spool: Spool) -> bool:
        trouble = ""
        for entry in self._outbox.not_kept():
            entry.is_kept = True  # before it is: should it leave meanwhile, it is removed below
            try:
                spool.keep(entry.report)
            except OSError as error:
                entry.is_kept = False
                trouble = f"{type(error).__name__}: {error}"
        self._forget_gone(spool)
        if trouble and trouble != self._spool_trouble:
            _log.warning("reports cannot be written to the spool, and are kept in memory alone: %s", trouble)
        self._spool_trouble = trouble
        return not trouble

    def _forget_gone(self, spool: Spool) -> None:
        for entry in self._outbox.take_gone():
            spool.forget(entry.report)


def _refusals() -> tuple[type[BaseException], ...]:
    from operator_status.delivery.kafka_client import REFUSALS  # noqa: PLC0415 - loaded when the first report is sent

    return REFUSALS


def _check(done: AbstractSet[Future[Any]]) -> None:
    """Raise when nothing was done in time, or when something failed that may succeed with a new producer."""
    if not done:
        raise TimeoutError(f"nothing was acknowledged for {STALL_SECONDS:g} s")
    for future in done:
        error = future.exception()
        if error and not isinstance(error, _refusals()):
            raise error
