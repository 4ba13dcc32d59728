"""A reporter for one job, whose outcome is how its block is left.

    with JobReporter(owner="0x1111", agreement_id="0x2222", job_id="3333") as job:
        job.running(message="epoch 1")

`async with` does the same. A block that is left normally reports `finished` as succeeded, by an exception as failed
with its text, by cancellation or SIGTERM as cancelled; unless `finished` was reported in it already. A stage that
nobody reported is not made up.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from operator_status.identity import reported_job
from operator_status.job import NAMES_IN_EVENTS, HandedOver, Job
from operator_status.kafka_access import KafkaAccess
from operator_status.published import FINISHED
from operator_status.reporting.forgiving import fitting
from operator_status.reporting.leaving import Termination, beside, outcome_of
from operator_status.reporting.reporter import MAX_QUEUED_REPORTS, Reporter


class JobReporter(Job):
    """See `Job` for its methods, `Reporter` for its arguments and `identity` for what need not be given."""

    def __init__(
        self,
        *,
        owner: str | None = None,
        agreement_id: str | None = None,
        job_id: str | None = None,
        source: str | None = None,
        attempt: int | None = None,
        settings: KafkaAccess | None = None,
        bootstrap_servers: str | None = None,
        topic: str | None = None,
        strict: bool = False,
        spool_directory: str | Path | None = None,
        delivery_timeout_seconds: float | None = None,
        max_queued: int = MAX_QUEUED_REPORTS,
    ) -> None:
        """Describe it; nothing connects yet."""
        self._reporter = Reporter(
            settings=settings,
            bootstrap_servers=bootstrap_servers,
            topic=topic,
            strict=strict,
            spool_directory=spool_directory,
            delivery_timeout_seconds=delivery_timeout_seconds,
            max_queued=max_queued,
        )
        self._who = reported_job(
            os.environ, owner=owner, agreement_id=agreement_id, job_id=job_id, source=source, attempt=attempt
        )
        self._has_finished = False
        self._process = os.getpid()
        self._termination = Termination()
        super().__init__(self._hand_over)

    def __enter__(self) -> Self:
        """Begin to deliver; SIGTERM leaves the block from now on."""
        self._process = os.getpid()
        self._reporter.open()
        self._termination.in_thread()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Report how the block was left, deliver what is queued, within the limit, and end."""
        self._termination.over()
        self._finish(error)
        self._reporter.__exit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        """Begin to deliver; SIGTERM cancels the task from now on."""
        self._process = os.getpid()
        self._reporter.open()
        self._termination.in_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Report how the block was left, deliver what is queued, within the limit, and end."""
        self._termination.over()
        self._finish(error)
        await self._reporter.__aexit__(kind, error, trace)
        if self._termination.has_come and isinstance(error, asyncio.CancelledError):
            raise self._termination.exit() from None

    def _hand_over(self, stage: str, details: Mapping[str, Any]) -> HandedOver:
        handed_over = self._reporter.report(self._who, stage, details)
        self._has_finished |= stage == FINISHED
        return handed_over

    def _finish(self, error: BaseException | None) -> None:
        """Report the outcome; the error of the block comes before one of the report."""
        if self._has_finished or self._process != os.getpid():  # a process that was forked in the block is not the job
            return
        outcome = {"outcome": "cancelled"} if self._termination.has_come else outcome_of(error)
        details, _ = fitting(FINISHED, outcome)
        names = {name: python for python, name in NAMES_IN_EVENTS.items()}
        with beside(error):
            self._hand_over(FINISHED, {names[name]: value for name, value in details.items()})
