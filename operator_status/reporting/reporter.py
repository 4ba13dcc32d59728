"""Reporting from a compute worker: a job must not fail, hang or wait because reporting does.

While Kafka is away reports wait, in memory and in the spool where there is one. At the end one waits for Kafka, at most
`delivery_timeout_seconds`.
"""

import asyncio
import atexit
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from operator_status.delivery.delivery import Delivery
from operator_status.delivery.outbox import Entry, Outbox
from operator_status.delivery.spool import Spool
from operator_status.errors import (
    KafkaAwayError,
    NotOpenError,
    QueueFullError,
    ReportError,
    SettingsError,
    TopicMissingError,
    UndeliveredError,
)
from operator_status.event import Report, ReportedJob
from operator_status.identity import reported_job
from operator_status.job import Acknowledgement, HandedOver, Job
from operator_status.kafka_access import KafkaAccess
from operator_status.reporting.forgiving import fitting_report, strict_report
from operator_status.reporting.leaving import beside
from operator_status.settings import SPOOL_VARIABLE, KafkaSettings

END_SECONDS: Final = 5.0  # longest wait for Kafka at the end of a job, and for a report that somebody waits for
STRICT_SECONDS: Final = 30.0  # the same of a strict reporter
CLOSE_SECONDS: Final = 1.0  # longest wait beyond that, for connections to close
MAX_QUEUED_REPORTS: Final = 1000  # about 1 KB each; each at most MAX_RECORD_BYTES
NAMED_REPORTS: Final = 10  # of those that were not delivered
MAX_REMARKS: Final = 100  # different sentences that one reporter logs about reports

_log = logging.getLogger(__name__)


class Reporter:
    """A connection to Kafka that the jobs of one process share.

        with Reporter(bootstrap_servers="127.0.0.1:9092") as reporter:
            job = reporter.job(owner="0x1111", agreement_id="0x2222", job_id="3333")
            job.started()

    Entering does not wait for Kafka. Leaving waits until everything is delivered, at most `delivery_timeout_seconds`.
    A strict one then raises UndeliveredError for the rest, or adds that as a note to the error of the body.
    """

    def __init__(
        self,
        *,
        settings: KafkaAccess | None = None,
        bootstrap_servers: str | None = None,
        topic: str | None = None,
        strict: bool = False,
        spool_directory: str | Path | None = None,
        delivery_timeout_seconds: float | None = None,
        max_queued: int = MAX_QUEUED_REPORTS,
    ) -> None:
        """Describe it; nothing connects yet. A strict one raises SettingsError with every fault at once.

        Args:
            settings: where Kafka is and how it is spoken to (TLS, SASL); from the environment when not given.
            bootstrap_servers: host:port,..., instead of KAFKA_BOOTSTRAP_SERVERS; not together with `settings`.
            topic: instead of KAFKA_TOPIC; not together with `settings`.
            strict: raise what is wrong with reports and their delivery, instead of logging it.
            spool_directory: where reports are on disk until Kafka has them; WORKER_SPOOL when not given.
            delivery_timeout_seconds: longest wait for Kafka, END_SECONDS or STRICT_SECONDS when not given.
            max_queued: most reports that wait for Kafka.

        """
        self.is_strict = strict
        default = STRICT_SECONDS if strict else END_SECONDS
        self._limit_seconds = default if delivery_timeout_seconds is None else delivery_timeout_seconds
        self._max_queued = max_queued
        self._remarks: set[str] = set()
        self._settings = self._load(settings, bootstrap_servers, topic)
        directory = spool_directory or os.environ.get(SPOOL_VARIABLE)
        self._spool = Spool(directory, self._settings.kafka_topic) if directory and self._settings else None
        self._outbox = Outbox(max_queued)
        self._delivery: Delivery | None = None
        self._process = 0
        self._is_impatient = False

    def job(
        self,
        *,
        owner: str | None = None,
        agreement_id: str | None = None,
        job_id: str | None = None,
        source: str | None = None,
        attempt: int | None = None,
    ) -> Job:
        """Return the job to report on; what is not given is taken from where this process runs."""
        job = reported_job(
            os.environ, owner=owner, agreement_id=agreement_id, job_id=job_id, source=source, attempt=attempt
        )
        return Job(partial(self.report, job))

    def report(self, job: ReportedJob, stage: str, details: Mapping[str, Any]) -> HandedOver:
        """Queue a report, with details by their Python names; raises ReportErrors when strict, else nothing."""
        try:
            if self._settings is not None:
                return self.hand_over(self._made(job, stage, details))
        except Exception as error:
            if self.is_strict:
                raise
            self._remark(f"not reported: {stage} of {job}: {error}")
        nothing: Future[Acknowledgement] = Future()
        nothing.set_exception(NotOpenError(report=stage))
        return HandedOver(None, nothing, lambda: 0, lambda _report, _error: None)

    def hand_over(self, report: Report) -> HandedOver:
        """Queue a report that is made already. Raises NotOpenError and QueueFullError."""
        if not self._is_open():
            is_forked = self._process not in {0, os.getpid()}
            if self.is_strict and not is_forked:
                raise NotOpenError(report=report)
            self.open()
        outcome = self._outbox.put(report)
        if outcome is None:
            raise QueueFullError(report=report, limit=self._outbox.limit, **self._circumstances())
        return HandedOver(report, outcome, self._patience, self._settled)

    def open(self) -> None:
        """Begin to deliver; also done by `with`, by `async with`, and in a process that was forked meanwhile."""
        if self._settings is None or self._is_open():
            return
        if self._process and self._process != os.getpid():
            self._outbox = Outbox(self._max_queued)  # what waits in there is the parent's
        self._process = os.getpid()
        delivery = Delivery(self._settings, self._outbox, self._spool)
        try:
            delivery.start()
        except (RuntimeError, OSError) as error:  # no more threads, or files, for this process
            if self.is_strict:
                raise
            self._remark(f"reports cannot be sent: {error}")
            return
        self._delivery = delivery
        atexit.register(self.close)

    def close(self, limit_seconds: float | None = None) -> None:
        """Deliver what is queued, within the limit, and end; harmless when it is closed. A strict one may raise."""
        limit_seconds = self._limit_seconds if limit_seconds is None else limit_seconds
        if delivery := self._end(limit_seconds):
            with suppress(TimeoutError):
                delivery.ended.result(timeout=limit_seconds + CLOSE_SECONDS)
            self._tell_left(delivery)

    async def aclose(self, limit_seconds: float | None = None) -> None:
        """Do the same without blocking the event loop."""
        limit_seconds = self._limit_seconds if limit_seconds is None else limit_seconds
        if delivery := self._end(limit_seconds):
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_seconds + CLOSE_SECONDS):
                    await asyncio.shield(asyncio.wrap_future(delivery.ended))
            self._tell_left(delivery)

    def __enter__(self) -> Self:
        """Begin to deliver."""
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Deliver what is queued, within the limit, and end."""
        with beside(error):
            self.close(_limit_after(error))

    async def __aenter__(self) -> Self:
        """Begin to deliver."""
        self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Deliver what is queued, within the limit, and end."""
        with beside(error):
            await self.aclose(_limit_after(error))

    def _load(self, settings: KafkaAccess | None, servers: str | None, topic: str | None) -> KafkaAccess | None:
        try:
            return _settings(settings, servers, topic)
        except SettingsError as error:
            if self.is_strict:
                raise
            self._remark(f"nothing is reported: {'; '.join(error.faults)}")
        return None

    def _made(self, job: ReportedJob, stage: str, details: Mapping[str, Any]) -> Report:
        if self.is_strict:
            return strict_report(job, stage, details)
        report, remarks = fitting_report(job, stage, details)
        for remark in remarks:
            self._remark(f"{report}: {remark}")
        return report

    def _is_open(self) -> bool:
        return self._delivery is not None and self._process == os.getpid()

    def _end(self, limit_seconds: float) -> Delivery | None:
        """Tell the delivery to end, and return it; nothing when it has ended, or is another process'."""
        delivery = self._delivery if self._is_open() else None
        if delivery:
            self._delivery = None
            atexit.unregister(self.close)
            delivery.end(limit_seconds)
        return delivery

    def _patience(self) -> float:
        """Return how long one may wait for a report: after a wait in vain no more until Kafka takes reports again."""
        if self._delivery and self._delivery.has_delivered:
            self._is_impatient = False
        return 0 if self._is_impatient else self._limit_seconds

    def _settled(self, report: Report | None, error: BaseException | None) -> Acknowledgement | None:
        """Raise what a wait ended with when strict; else tell it once and return nothing."""
        if isinstance(error, TimeoutError):
            error = self._why_not(report)
            self._is_impatient = not self.is_strict
            if self._delivery:
                self._delivery.has_delivered = False
        if self.is_strict and error:
            raise error
        self._remark(str(error))
        return None

    def _why_not(self, report: Report | None) -> ReportError:
        trouble = self._delivery.trouble if self._delivery else None
        if isinstance(trouble, TopicMissingError):
            return trouble
        return KafkaAwayError(report=report, limit_seconds=self._limit_seconds, **self._circumstances())

    def _tell_left(self, delivery: Delivery) -> None:
        """Tell what Kafka has not acknowledged: by an error when strict, else by a line of the log."""
        left = self._outbox.take_all()
        lost = [entry for entry in left if not entry.is_kept]
        undelivered = self._undelivered(lost, delivery)
        for entry in left:
            for waiting in list(entry.outcomes):
                if not waiting.done():
                    waiting.set_exception(undelivered)
        if self.is_strict and lost:
            raise undelivered
        if self._spool and (kept := len(left) - len(lost)):
            _log.warning("%d reports wait in %s, until Kafka takes them", kept, self._spool.directory)
        if lost:
            advice = "" if self._spool else f" With {SPOOL_VARIABLE} set they would be on disk, and sent later."
            _log.warning("lost: %s%s", undelivered, advice)

    def _undelivered(self, entries: Sequence[Entry], delivery: Delivery) -> UndeliveredError:
        names = [str(entry.report) for entry in entries[:NAMED_REPORTS]]
        more = len(entries) - len(names)
        reports = "; ".join(names) + (f"; and {more} more" if more else "")
        return UndeliveredError(
            limit_seconds=self._limit_seconds, reports=reports, **self._circumstances(delivery.trouble)
        )

    def _circumstances(self, trouble: Exception | None = None) -> dict[str, Any]:
        trouble = trouble or (self._delivery.trouble if self._delivery else None)
        address = self._settings.kafka_bootstrap_servers if self._settings else ""
        return {"address": address, "cause": f" ({trouble})" if trouble else ""}

    def _remark(self, sentence: str) -> None:
        """Log a sentence, each once."""
        if sentence not in self._remarks and len(self._remarks) < MAX_REMARKS:
            self._remarks.add(sentence)
            _log.warning("%s", sentence)


def _settings(settings: KafkaAccess | None, servers: str | None, topic: str | None) -> KafkaAccess:
    if settings and (servers or topic):
        raise SettingsError(["give either settings, or bootstrap_servers and topic"])
    return settings or KafkaSettings.load(os.environ, {"kafka_bootstrap_servers": servers, "kafka_topic": topic})


def _limit_after(error: BaseException | None) -> float | None:
    """Return the limit for the end of a block: none is left when somebody has waited for it already, and in vain."""
    return 0 if isinstance(error, KafkaAwayError | TopicMissingError) else None
