"""Reporting to Kafka from a compute worker: a job must not die because status reporting is down.

    async with JobReporter(owner="0x1111", agreement_id="0x2222", job_id="3333", source="/workers/gpu-7") as job:
        await job.started()

What happens while Kafka is away: reports are queued, at most `max_queued` of them, and sent in order when it is back.
A report that is awaited raises after `delivery_timeout_seconds`, and stays queued; one that is not awaited costs the
job nothing. At the end `async with` waits once more so long, and then names what was not delivered.
"""

import asyncio
import os
from asyncio import Task
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from schemas.job_event import DEFAULT_ATTEMPT
from service.errors import SettingsError
from service.settings import KafkaSettings
from worker.app import topic_missing
from worker.delivery import Delivery
from worker.errors import KafkaAwayError, NotOpenError, QueueFullError, ReportError, TopicMissingError, UndeliveredError
from worker.event import Report, ReportedJob
from worker.job import HandedOver, Job
from worker.outbox import Acknowledgement, Entry, Outbox

DELIVERY_TIMEOUT_SECONDS: Final = 30.0
MAX_QUEUED_REPORTS: Final = 1000  # about 1 KB each; each at most schemas.job_event.MAX_RECORD_BYTES
NAMED_REPORTS: Final = 10  # of those that were not delivered


class Reporter:
    """A connection to Kafka that the jobs of one process share.

        async with Reporter(bootstrap_servers="127.0.0.1:9092") as reporter:
            job = reporter.job(owner="0x1111", agreement_id="0x2222", job_id="3333", source="/workers/gpu-7")
            await job.started()

    Entering does not wait for Kafka. Leaving waits until everything is delivered, at most `delivery_timeout_seconds`,
    and raises UndeliveredError for the rest; when the body raised already, that is added to its error as a note.
    """

    def __init__(
        self,
        *,
        settings: KafkaSettings | None = None,
        bootstrap_servers: str | None = None,
        topic: str | None = None,
        delivery_timeout_seconds: float = DELIVERY_TIMEOUT_SECONDS,
        max_queued: int = MAX_QUEUED_REPORTS,
    ) -> None:
        """Describe it; nothing connects yet. Raises SettingsError with every fault at once.

        Args:
            settings: where Kafka is and how it is spoken to (TLS, SASL); from the environment when not given.
            bootstrap_servers: host:port,..., instead of KAFKA_BOOTSTRAP_SERVERS; not together with `settings`.
            topic: instead of KAFKA_TOPIC; not together with `settings`.
            delivery_timeout_seconds: longest wait for the acknowledgement of a report, and at the end for all.
            max_queued: most reports that wait for Kafka.

        """
        if settings and (bootstrap_servers or topic):
            raise SettingsError(["give either settings, or bootstrap_servers and topic"])
        overrides = {"kafka_bootstrap_servers": bootstrap_servers, "kafka_topic": topic}
        self._settings = settings or KafkaSettings.load(_kafka_variables(), overrides)
        self._settings.kafka_client_options()  # a certificate that cannot be read is found here, not while a job runs
        self._limit_seconds = delivery_timeout_seconds
        self._outbox = Outbox(max_queued)
        self._delivery = Delivery(self._settings, self._outbox)
        self._task: Task[None] | None = None

    def job(self, *, owner: str, agreement_id: str, job_id: str, source: str, attempt: int = DEFAULT_ATTEMPT) -> Job:
        """Return the job to report on; `source` names this worker, such as `/workers/gpu-7`."""
        return Job(ReportedJob(owner, agreement_id, job_id, attempt, source), self.hand_over)

    def hand_over(self, report: Report) -> HandedOver:
        """Queue a report; await the result to know that Kafka has it. Raises NotOpenError and QueueFullError."""
        if self._task is None:
            raise NotOpenError(report=report)
        if self._outbox.is_full:
            raise QueueFullError(report=report, limit=self._outbox.limit, **self._circumstances())
        return HandedOver(report, partial(self._acknowledged, report, self._outbox.put(report)))

    async def __aenter__(self) -> Self:
        """Begin to deliver."""
        self._task = asyncio.create_task(self._delivery.run(), name="reports to Kafka")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Deliver what is queued, within the limit, and close the connection."""
        try:
            has_waited = isinstance(error, KafkaAwayError | TopicMissingError)
            with suppress(TimeoutError):
                async with asyncio.timeout(0 if has_waited else self._limit_seconds):
                    await self._outbox.emptied()
        finally:
            await self._close()
            left = self._outbox.take_all()
        if left:
            undelivered = self._undelivered(left)
            if error is None:
                raise undelivered
            error.add_note(str(undelivered))

    async def _acknowledged(self, report: Report, outcome: "asyncio.Future[Acknowledgement]") -> Acknowledgement:
        """Wait for a report's acknowledgement, within the limit; it stays queued after that."""
        try:
            async with asyncio.timeout(self._limit_seconds):
                return await asyncio.shield(outcome)
        except TimeoutError:
            raise self._why_not(report) from self._delivery.trouble

    async def _close(self) -> None:
        task, self._task = self._task, None
        if task:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _undelivered(self, entries: Sequence[Entry]) -> UndeliveredError:
        names = [str(entry.report) for entry in entries[:NAMED_REPORTS]]
        more = len(entries) - len(names)
        undelivered = UndeliveredError(
            limit_seconds=self._limit_seconds,
            reports="; ".join(names) + (f"; and {more} more" if more else ""),
            **self._circumstances(),
        )
        for entry in entries:
            if not entry.outcome.done():
                entry.outcome.set_exception(undelivered)
        return undelivered

    def _why_not(self, report: Report) -> ReportError:
        if isinstance(self._delivery.trouble, TopicMissingError):
            return topic_missing(self._settings)
        return KafkaAwayError(report=report, limit_seconds=self._limit_seconds, **self._circumstances())

    def _circumstances(self) -> dict[str, Any]:
        trouble = self._delivery.trouble
        return {
            "address": self._settings.kafka_bootstrap_servers,
            "cause": f" ({trouble})" if trouble else "",
        }


def _kafka_variables() -> dict[str, str]:
    """Return the part of the environment that is about Kafka; the rest is the worker's own business."""
    return {name: value for name, value in os.environ.items() if name.startswith("KAFKA_")}


class JobReporter(Job):
    """A Reporter for one job: see `Job` for its methods and `Reporter` for its arguments."""

    def __init__(
        self,
        *,
        owner: str,
        agreement_id: str,
        job_id: str,
        source: str,
        attempt: int = DEFAULT_ATTEMPT,
        settings: KafkaSettings | None = None,
        bootstrap_servers: str | None = None,
        topic: str | None = None,
        delivery_timeout_seconds: float = DELIVERY_TIMEOUT_SECONDS,
        max_queued: int = MAX_QUEUED_REPORTS,
    ) -> None:
        """Describe it; nothing connects yet."""
        self._reporter = Reporter(
            settings=settings,
            bootstrap_servers=bootstrap_servers,
            topic=topic,
            delivery_timeout_seconds=delivery_timeout_seconds,
            max_queued=max_queued,
        )
        super().__init__(ReportedJob(owner, agreement_id, job_id, attempt, source), self._reporter.hand_over)

    async def __aenter__(self) -> Self:
        """Begin to deliver."""
        await self._reporter.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Deliver what is queued, within the limit, and close the connection."""
        await self._reporter.__aexit__(kind, error, trace)
