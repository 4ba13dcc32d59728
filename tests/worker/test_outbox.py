"""The queue of reports that Kafka has not acknowledged."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_status.delivery.outbox import Outbox
from operator_status.errors import RefusedByKafkaError
from operator_status.event import HEADERS, Report, ReportedJob, make_report
from operator_status.job import Acknowledgement
from projector.fold.job import FoldedJob
from schemas.decode import decode
from schemas.identity import JobIdentity

PLACE = Acknowledgement("job-events", 0, 7)
BEGIN = datetime(2020, 10, 1, 1, tzinfo=UTC)


def report(number: int) -> Report:
    """Return some report, each of another job."""
    return Report(str(number), b"3333", b"{}", f"report {number}", (number,))


def test_oldest_first_until_settled() -> None:
    """Entries are read in the order in which they were put in, and stay until they are settled."""
    outbox = Outbox(limit=5)
    for number in range(3):
        outbox.put(report(number))
    assert [entry.report.id for entry in outbox.first(2)] == ["0", "1"]
    outbox.settle(outbox.first(1)[0], PLACE)
    assert [entry.report.id for entry in outbox.first(5)] == ["1", "2"]
    assert len(outbox) == 2


def test_outcomes_reach_who_waits() -> None:
    """Who waits for a report gets its acknowledgement, or the error that ended it; twice settled is once settled."""
    outbox = Outbox(limit=5)
    good, bad = outbox.put(report(0)), outbox.put(report(1))
    assert good
    assert bad
    first, second = outbox.first(2)
    outbox.settle(second, RefusedByKafkaError(report="report 1", reason="too large"))
    outbox.settle(first, PLACE)
    outbox.settle(first, RefusedByKafkaError(report="report 0", reason="late"))
    assert good.result() == PLACE
    with pytest.raises(RefusedByKafkaError, match="report 1: too large"):
        bad.result()


def test_limit() -> None:
    """At its limit nothing more is taken."""
    outbox = Outbox(limit=2)
    assert outbox.put(report(0))
    assert outbox.put(report(1))
    assert outbox.put(report(2)) is None
    assert [entry.report.id for entry in outbox.take_all()] == ["0", "1"]
    assert outbox.put(report(2))


def test_a_job_that_reports_for_ever_has_a_small_queue(job: ReportedJob) -> None:
    """Of thousands of signs of life the first and the last wait; who waits for another one waits for the last."""
    outbox = Outbox(limit=5)
    futures = [
        outbox.put(make_report(job, "running", {"message": str(second)}, BEGIN + timedelta(seconds=second)))
        for second in range(3000)
    ]
    first, last = outbox.first(100)
    assert last.report.moment - first.report.moment == timedelta(seconds=2999)
    assert len(first.outcomes) == 1
    outbox.settle(last, PLACE)
    assert all(future and future.result(timeout=0) == PLACE for future in futures[1:])


def test_who_does_not_wait_costs_nothing(job: ReportedJob) -> None:
    """A report that was outweighed and that nobody waits for leaves nothing behind."""
    outbox = Outbox(limit=5)
    for second in range(1000):
        outbox.put(make_report(job, "running", {"message": str(second)}, BEGIN + timedelta(seconds=second)))
    assert sum(len(entry.outcomes) for entry in outbox.first(5)) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["started", "running", "finished"]),
            st.integers(0, 5),
            st.dictionaries(st.sampled_from(["message", "algologURL"]), st.sampled_from(["http://a", "http://b"])),
        )
    )
)
def test_what_waits_is_what_counts(reports: list[tuple[str, int, dict[str, str]]]) -> None:
    """The job that is folded of the queue is the job that is folded of all reports."""
    outbox = Outbox(limit=100)
    job = ReportedJob("0x1111", "0x2222", "3333", 1, "/workers/gpu-7")
    everything = [
        make_report(job, stage, details, BEGIN + timedelta(seconds=second)) for stage, second, details in reports
    ]
    for one in everything:
        outbox.put(one)
    waiting = [entry.report for entry in outbox.first(100)]
    assert len(waiting) <= 3 * 4
    assert folded(waiting) == folded(everything)


def folded(reports: list[Report]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the registers of the job that reports give."""
    events = [decode(one.value, HEADERS, -1) for one in reports]
    job = FoldedJob(JobIdentity("0x1111", "0x2222", "3333", 1))
    for event in events:
        job.add(event, "")
    return job.stages, job.details
