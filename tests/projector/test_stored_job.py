"""A stored job: what is written is understood again, and everything else is refused by its fault."""

import re

import pytest

from projector.fold.job import FoldedJob
from projector.fold.stored_job import fields_of, job_of
from schemas.identity import JobIdentity
from schemas.job_event import JobEvent
from schemas.lifecycle import STAGE_BY_NAME
from schemas.redis_layout import CARRIED, STORED_FIELDS

TIME = "2020-10-01T01:00:00.000000"


@pytest.fixture
def job() -> FoldedJob:
    """A job of which two stages and some details were reported."""
    folded = FoldedJob(JobIdentity("0x1111", "0x2222", "3333", 2))
    details = {"outputsURL": ["http://a/", "http://b/"], "message": "line\tone\nline two", "outcome": "failed"}
    for name, reported in (("started", {}), ("finished", details)):
        folded.add(JobEvent(folded.identity, STAGE_BY_NAME[name], TIME, "/workers/gpu-7", name, reported), "t/0/7")
    return folded


def test_the_fields_of_a_job_give_the_job(job: FoldedJob) -> None:
    """Nothing is lost or added on the way, and the mark of what was carried over stays."""
    assert fields_of(job).keys() < {*STORED_FIELDS}
    assert job_of(fields_of(job)) == job
    job.details[CARRIED] = "g1"
    assert job_of(fields_of(job)) == job


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("price", "7", "unknown fields ['price']"),
        ("message", 7, "a field is no text"),
        ("owner", None, "no owner"),
        ("attempt", None, "no attempt"),
        ("finished", "rubbish", "a stage is not as stored"),
        ("finished", "2020-02-30T01:00:00.000000\t/workers/gpu-7\te1\tt/0/7", "a stage is not as stored"),
        ("message", "done", "a detail is not as stored"),
        ("message", "05=done", "a detail is not as stored"),
        ("news", TIME, "the last news is not as stored"),
        (CARRIED, "1", "a detail is not as stored"),
        ("outputsURL", f"05\t{TIME}\te1\thttp://a/", "unexpected character"),
        ("owner", "", "owner is no identifier"),
        ("agreementId", "a" * 257, "agreementId is no identifier"),
        ("jobId", "3333\x00", "jobId is no identifier"),
        ("attempt", "0", "attempt is no number from 1 on"),
        ("attempt", "02", "attempt is no number from 1 on"),
        ("attempt", "two", "attempt is no number from 1 on"),
    ],
)
def test_what_is_no_job_is_refused(job: FoldedJob, field: str, value: object, fault: str) -> None:
    """One wrong field is enough, and is named (None: it is missing)."""
    fields: dict[str, object] = {**fields_of(job), field: value}
    if value is None:
        del fields[field]
    with pytest.raises(ValueError, match=re.escape(fault)):
        job_of(fields)


def test_a_job_without_a_stage_is_none(job: FoldedJob) -> None:
    """Nobody has reported it."""
    job.stages.clear()
    with pytest.raises(ValueError, match="no stage"):
        job_of(fields_of(job))
