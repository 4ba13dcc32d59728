"""The fold's laws."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from projector.fold.job import FoldedJob
from schemas.job_event import JobEvent
from schemas.job_status import View, render
from schemas.lifecycle import STAGES
from schemas.redis_layout import STORED_FIELDS
from tests.support.reports import IDENTITY, REPORTS

ADMIN = View(is_admin=True)


def fold(reports: list[tuple[JobEvent, str]]) -> FoldedJob:
    """Return the job that these reports give, in this order."""
    job = FoldedJob(IDENTITY)
    for event, recorded_at in reports:
        job.add(event, recorded_at)
    return job


def stored(job: FoldedJob) -> list[bytes | None]:
    """Return the job as Redis would answer it."""
    fields = dict(zip(("owner", "agreementId", "jobId", "attempt"), map(str, job.identity), strict=True))
    fields |= job.stages | job.details
    return [fields[name].encode() if name in fields else None for name in STORED_FIELDS]


@given(REPORTS, st.randoms(use_true_random=False))
def test_order_does_not_matter(reports: list[tuple[JobEvent, str]], random: Random) -> None:
    """The same reports give the same job whatever order they arrive in."""
    shuffled = reports.copy()
    random.shuffle(shuffled)
    assert fold(shuffled) == fold(reports)


@given(REPORTS, st.data())
def test_repetition_does_not_matter(reports: list[tuple[JobEvent, str]], data: st.DataObject) -> None:
    """A report that arrives again, any number of times, changes nothing."""
    again = data.draw(st.lists(st.sampled_from(reports)))
    assert fold(reports + again) == fold(reports)


@given(REPORTS, REPORTS, REPORTS)
def test_join_is_associative_and_commutative(
    one: list[tuple[JobEvent, str]], two: list[tuple[JobEvent, str]], three: list[tuple[JobEvent, str]]
) -> None:
    """Batches may be split and joined in any way: the job is that of all reports together."""
    left = fold(one)
    left.join(fold(two))
    left.join(fold(three))
    right = fold(three)
    right.join(fold(two))
    right.join(fold(one))
    assert left == right == fold(one + two + three)


@given(REPORTS)
def test_status_never_goes_back(reports: list[tuple[JobEvent, str]]) -> None:
    """A job never goes back to an earlier status, whatever order its events arrive in."""
    statuses = []
    for count in range(1, len(reports) + 1):
        shown = render(stored(fold(reports[:count])), ADMIN)
        assert shown is not None
        statuses.append(shown["status"])
    assert statuses == sorted(statuses)


@given(REPORTS)
def test_answer_is_what_the_contract_says(reports: list[tuple[JobEvent, str]]) -> None:
    """Dates are the earliest, details those of the latest stage's latest report, straight from the set of events."""
    shown = render(stored(fold(reports)), ADMIN)
    assert shown is not None
    events = [event for event, _ in reports]
    assert shown["dateCreated"] == min(event.time for event in events)[:19] + "Z"
    finished = [event.time for event in events if event.stage is STAGES[-1]]
    assert shown["dateFinished"] == (min(finished)[:19] + "Z" if finished else None)
    assert shown["status"] == max(event.stage.code for event in events)
    carriers = [event for event in events if "configlogURL" in event.details]
    ranks = [(event.stage.code, event.time, event.id, event.details["configlogURL"]) for event in carriers]
    winner = max(ranks)[-1] if ranks else None
    assert shown["configlogURL"] == winner


def test_a_shorter_id_is_smaller_than_one_that_begins_with_it() -> None:
    """Of two reports of one moment the larger event id counts, also when one id begins with the other."""
    reports = [
        (JobEvent(IDENTITY, STAGES[0], "2020-10-01T01:00:00.000000", "/w", name, {"message": name}), "t/0/1")
        for name in ("a b", "a", "a!")
    ]
    assert fold(reports).details["message"].endswith("\ta!")
