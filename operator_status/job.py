"""A job as its worker sees it: one method for each stage."""

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypedDict, Unpack

from operator_status.event import Report

Outcome = Literal["succeeded", "failed", "cancelled"]


class Acknowledgement(NamedTuple):
    """Where Kafka keeps a report now."""

    topic: str
    partition: int
    offset: int  # -1 when Kafka knows the record already and has forgotten where it is

    @property
    def position(self) -> str | None:
        """What the API takes as `after`, to answer with this report in it; None when nobody knows where it is."""
        return f"{self.topic}/{self.partition}:{self.offset}" if self.offset >= 0 else None


class Details(TypedDict, total=False):
    """What a report of any stage may carry. Of each URL and message the latest stage's latest report counts."""

    configlog_url: str | None  # configuration log, shown to admins
    publishlog_url: str | None  # publish log, shown to admins
    algolog_url: str | None  # log of the algorithm, shown to the user
    outputs_url: Sequence[str] | None  # outputs of the algorithm, at most 1000
    message: str | None  # a remark for people, at most 1000 characters
    time: datetime | str | None  # when the stage was reached, with its zone; now when not given


class FinishedDetails(Details, total=False):
    """What the last report may carry besides."""

    outcome: Outcome | None  # when not given: failed with an error, else succeeded
    error: str | None  # why the job failed, at most 1000 characters


NAMES_IN_EVENTS: Final[Mapping[str, str]] = {
    "configlog_url": "configlogURL",
    "publishlog_url": "publishlogURL",
    "algolog_url": "algologURL",
    "outputs_url": "outputsURL",
    "message": "message",
    "outcome": "outcome",
    "error": "error",
}


class HandedOver:
    """A report that was queued. Await it, or ask for its `result()`, to know that Kafka has it; or do neither."""

    def __init__(
        self,
        report: Report | None,
        future: Future[Acknowledgement],
        limit_seconds: Callable[[], float],
        settle: Callable[[Report | None, BaseException | None], Acknowledgement | None],
    ) -> None:
        """Made by `Reporter.hand_over`."""
        self.report = report
        self._future = future
        self._limit_seconds = limit_seconds
        self._settle = settle

    def result(self) -> Acknowledgement | None:
        """Wait for the acknowledgement within the reporter's limit; None when there is none, an error when strict."""
        try:
            return self._future.result(timeout=self._limit_seconds())
        except Exception as error:  # noqa: BLE001 - what becomes of it is the reporter's decision
            return self._settle(self.report, error)

    def __await__(self) -> Generator[Any, None, Acknowledgement | None]:
        """Do the same without blocking the event loop."""
        return self._awaited().__await__()

    async def _awaited(self) -> Acknowledgement | None:
        try:
            async with asyncio.timeout(self._limit_seconds()):
                return await asyncio.shield(asyncio.wrap_future(self._future))
        except Exception as error:  # noqa: BLE001 - what becomes of it is the reporter's decision
            return self._settle(self.report, error)


class Job:
    """Reports the progress of one attempt of one job, from any thread.

    Each method queues the report and returns at once; a thread of the reporter's own sends it.

        job.running(message="epoch 3")     # handed over; the end of the block answers for it
        await job.started()                # Kafka has it; without asyncio: job.started().result()

    By default no method raises, and no wait is longer than the reporter's limit. Of a strict reporter a method raises
    InvalidEventError, naming every field that is wrong, NotOpenError and QueueFullError; waiting raises KafkaAwayError
    or TopicMissingError after the limit (the report stays queued then) and RefusedByKafkaError. All are ReportErrors.
    """

    def __init__(self, report: Callable[[str, Mapping[str, Any]], HandedOver]) -> None:
        """Make it by `Reporter.job`, or use a JobReporter."""
        self._report = report

    def started(self, **details: Unpack[Details]) -> HandedOver:
        """Report that the job was taken up: status 1, "Job started"."""
        return self.report("started", **details)

    def configuring(self, **details: Unpack[Details]) -> HandedOver:
        """Report that volumes are being configured: status 2."""
        return self.report("configuring", **details)

    def running(self, **details: Unpack[Details]) -> HandedOver:
        """Report that the algorithm runs: status 3."""
        return self.report("running", **details)

    def uploading(self, **details: Unpack[Details]) -> HandedOver:
        """Report that results are being uploaded: status 4."""
        return self.report("uploading", **details)

    def finished(self, **details: Unpack[FinishedDetails]) -> HandedOver:
        """Report the end of the job, whatever its outcome: status 5."""
        return self.report("finished", **details)

    def report(self, stage: str, **details: Unpack[FinishedDetails]) -> HandedOver:
        """Report a stage by its name; `outcome` and `error` belong to `finished`."""
        return self._report(stage, details)
