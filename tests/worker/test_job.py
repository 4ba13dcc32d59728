"""The methods by which a worker reports stages."""

import inspect
from typing import Any, get_args, get_type_hints

import orjson
import pytest

from schemas.job_event import DETAIL_NAMES
from schemas.lifecycle import OUTCOMES, STAGES, Stage
from worker.errors import InvalidEventError
from worker.event import Report, ReportedJob
from worker.job import NAMES_IN_EVENTS, FinishedDetails, HandedOver, Job, Outcome
from worker.outbox import Acknowledgement

PLACE = Acknowledgement("job-events", 0, 7)


async def acknowledged() -> Acknowledgement:
    """Answer like Kafka."""
    return PLACE


class Recorder(list[Report]):
    """Keeps what is handed over."""

    def hand_over(self, report: Report) -> HandedOver:
        """Keep a report and acknowledge it."""
        self.append(report)
        return HandedOver(report, acknowledged)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
async def test_every_stage_has_a_method(job: ReportedJob, stage: Stage) -> None:
    """Each stage of the lifecycle has a method of its name, documented, that reports it and can be awaited."""
    reports = Recorder()
    method = getattr(Job(job, reports.hand_over), stage.name)
    assert await method(message="hello") == PLACE
    event = orjson.loads(reports[0].value)
    assert event["type"] == stage.event_type
    assert event["data"]["message"] == "hello"
    assert f"status {stage.code}" in (inspect.getdoc(method) or "")


def test_every_detail_has_a_name(job: ReportedJob) -> None:
    """Each detail that events may carry can be given to the method of the last stage, under a Python name."""
    given: dict[str, Any] = {
        "configlog_url": "http://example.net/c",
        "publishlog_url": "http://example.net/p",
        "algolog_url": "http://example.net/a",
        "outputs_url": ("http://example.net/o",),
        "message": "m",
        "outcome": "failed",
        "error": "e",
        "time": "2020-10-01T01:00:00Z",
    }
    reports = Recorder()
    Job(job, reports.hand_over).finished(**given)
    event = orjson.loads(reports[0].value)
    assert event["time"] == given["time"]
    assert set(event["data"]) == {"owner", "agreementId", "jobId", "attempt", *DETAIL_NAMES}
    assert set(NAMES_IN_EVENTS.values()) == set(DETAIL_NAMES)
    assert set(get_type_hints(FinishedDetails)) == set(NAMES_IN_EVENTS) | {"time"} == set(given)


def test_an_unknown_detail_is_named(job: ReportedJob) -> None:
    """A misspelt name is told with those that there are, and nothing is handed over."""
    reports = Recorder()
    misspelt: dict[str, Any] = {"algo_log_url": "http://example.net/a", "massage": "m"}
    with pytest.raises(InvalidEventError) as caught:
        Job(job, reports.hand_over).running(**misspelt)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["algo_log_url", "massage"]
    assert all("algolog_url" in fault for fault in caught.value.faults)
    assert not reports


def test_outcomes() -> None:
    """The outcomes that a type checker accepts are those of the lifecycle."""
    assert get_args(Outcome) == OUTCOMES
