"""The methods by which a worker reports stages."""

import inspect
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, get_args, get_type_hints

import orjson
import pytest

from operator_status.errors import InvalidEventError
from operator_status.event import ReportedJob
from operator_status.job import NAMES_IN_EVENTS, FinishedDetails, HandedOver, Job, Outcome
from operator_status.published import DETAILS, SCHEMA
from operator_status.published import STAGES as STAGES_OF_WORKERS
from operator_status.reporting.forgiving import strict_report
from schemas import job_event
from schemas.job_event import DETAIL_NAMES
from schemas.lifecycle import OUTCOMES, STAGE_NAMES, STAGES, Stage


class Recorder(list[tuple[str, Mapping[str, Any]]]):
    """Keeps what is reported."""

    def report(self, stage: str, details: Mapping[str, Any]) -> HandedOver:
        """Keep a report that nobody will send."""
        self.append((stage, details))
        return HandedOver(None, Future(), lambda: 0, lambda _report, _error: None)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
async def test_every_stage_has_a_method(stage: Stage) -> None:
    """Each stage of the lifecycle has a method of its name, documented, that reports it and can be awaited."""
    reports = Recorder()
    method = getattr(Job(reports.report), stage.name)
    assert await method(message="hello") is None
    assert reports == [(stage.name, {"message": "hello"})]
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
    event = orjson.loads(strict_report(job, "finished", given).value)
    assert event["time"] == given["time"]
    assert set(event["data"]) == {"owner", "agreementId", "jobId", "attempt", *DETAIL_NAMES}
    assert set(NAMES_IN_EVENTS.values()) == set(DETAIL_NAMES) == set(DETAILS)
    assert set(get_type_hints(FinishedDetails)) == set(NAMES_IN_EVENTS) | {"time"} == set(given)


def test_an_unknown_detail_is_named(job: ReportedJob) -> None:
    """A misspelt name is told with those that there are."""
    misspelt = {"algo_log_url": "http://example.net/a", "massage": "m"}
    with pytest.raises(InvalidEventError) as caught:
        strict_report(job, "running", misspelt)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["algo_log_url", "massage"]
    assert all("algolog_url" in fault for fault in caught.value.faults)


def test_the_schema_that_is_shipped_is_the_published_one() -> None:
    """What workers check by is the schema that the projector runs; the module tests.schemas.published writes it."""
    assert SCHEMA == job_event.SCHEMA
    assert tuple(STAGES_OF_WORKERS) == STAGE_NAMES


def test_outcomes() -> None:
    """The outcomes that a type checker accepts are those of the lifecycle."""
    assert get_args(Outcome) == OUTCOMES
