"""A job as its worker sees it: one method for each stage."""

from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, Unpack

from schemas.lifecycle import STAGE_BY_NAME
from worker.errors import InvalidEventError
from worker.event import Report, ReportedJob, make_report
from worker.outbox import Acknowledgement

Outcome = Literal["succeeded", "failed", "cancelled"]


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
    """A report that was queued; await it to know that Kafka has acknowledged it."""

    def __init__(self, report: Report, acknowledged: Callable[[], Coroutine[Any, Any, Acknowledgement]]) -> None:
        """Made by `Reporter.hand_over`."""
        self.report = report
        self._acknowledged = acknowledged

    def __await__(self) -> Generator[Any, None, Acknowledgement]:
        """Wait for the acknowledgement, within the reporter's limit."""
        return self._acknowledged().__await__()


class Job:
    """Reports the progress of one attempt of one job.

    Each method checks the report, queues it, and returns at once. Await what it returns to know that Kafka has it, or
    do not and go on with the job: reports are sent in the order of the calls either way.

        await job.started()                # Kafka has it, or an error says why not
        job.running(message="epoch 3")     # handed over; `async with` answers for it at its end

    A method raises InvalidEventError, naming every field that is wrong, and QueueFullError; awaiting raises
    KafkaAwayError or TopicMissingError after the limit (the report stays queued then: no need to repeat it, though a
    repetition is harmless) and RefusedByKafkaError. All are ReportErrors. Methods belong to the event loop's thread.
    """

    def __init__(self, job: ReportedJob, hand_over: Callable[[Report], HandedOver]) -> None:
        """Make it by `Reporter.job`, or use a JobReporter."""
        self._job = job
        self._hand_over = hand_over

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
        if unknown := details.keys() - {*NAMES_IN_EVENTS, "time"}:
            known = ", ".join((*NAMES_IN_EVENTS, "time"))
            raise InvalidEventError([f"{name}: no member of a report; there are {known}" for name in sorted(unknown)])
        time = details.pop("time", None)
        named = {NAMES_IN_EVENTS[name]: value for name, value in details.items()}
        return self._hand_over(make_report(self._job, STAGE_BY_NAME[stage], named, time))
