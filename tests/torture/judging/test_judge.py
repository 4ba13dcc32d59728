"""The judge lets through what is right, and names what is not."""

from collections.abc import Sequence

import orjson
import pytest

from tests.support.events import PolledRecord, event
from tests.torture.clients.acknowledged import Acknowledged
from tests.torture.clients.observation import Observation, Query
from tests.torture.faults.faults import Loss
from tests.torture.judging.anomalies import Name
from tests.torture.judging.judge import STALE_SECONDS, Judge
from tests.torture.judging.truth import Rows, Truth, without_admin_fields

JOB, OTHER = "3333", "4444"
QUERY = Query("jobId", JOB, is_admin=True)
LISTING = Query("owner", "0x1111", is_admin=False)
APPENDED = 1_601_514_000.0  # when the records of these tests were appended


@pytest.fixture
def truth() -> Truth:
    """A log of one partition: a job is started, another one too, and the first is finished."""
    truth = Truth()
    events = [
        event("started", job=JOB, event_id="a", attempt=1),
        event("started", job=OTHER, event_id="b", attempt=1),
        event("finished", job=JOB, event_id="c", attempt=1),
    ]
    for offset, one in enumerate(events):
        truth.add(PolledRecord("t", 0, offset, orjson.dumps(one), key=b"k", timestamp=int(APPENDED * 1000)))
    return truth


def seen(
    rows: Rows, at: float, *, query: Query = QUERY, life: int = 0, lag: int | None = None, took: float = 0.1
) -> Observation:
    """Return that rows were answered to a query that was asked so many seconds after the events were appended."""
    return Observation(query, APPENDED + at, APPENDED + at + took, life, 200, lag, orjson.dumps(rows))


def names(truth: Truth, observations: Sequence[Observation], losses: Sequence[Loss] = ()) -> list[Name]:
    """Return the names of the anomalies."""
    return [anomaly.name for anomaly in Judge(truth).judge(observations, losses)]


def version(truth: Truth, number: int, job_id: str = JOB) -> Rows:
    """Return the rows of one of a job's versions."""
    return truth.versions(job_id)[number].rows


def test_versions_cover_every_position(truth: Truth) -> None:
    """Before its first event a job is unknown; each event that changes its answer begins a version."""
    versions = truth.versions(JOB)
    assert [[row["status"] for row in one.rows] for one in versions] == [[], [1], [5]]
    assert [one.first for one in versions] == [0, 1, 3]
    assert [one.last for one in versions[:-1]] == [0, 2]


def test_the_earliest_report_of_a_stage_counts(truth: Truth) -> None:
    """A job that is reported to have begun earlier is older from then on, whichever report came last."""
    for offset, when in [(3, "2020-10-01T00:00:07.5Z"), (4, "2020-10-01T00:00:08Z")]:
        one = event("started", job=JOB, event_id="d", attempt=1) | {"time": when}
        truth.add(PolledRecord("t", 0, offset, orjson.dumps(one), key=b"k", timestamp=int(APPENDED * 1000)))
    dates = [[row["dateCreated"] for row in one.rows] for one in truth.versions(JOB)]
    assert dates[-1] == ["2020-10-01T00:00:07Z"]
    assert dates[-2] != dates[-1]


def test_answers_that_go_forward_are_right(truth: Truth) -> None:
    """Nobody is blamed for answers that follow the log."""
    answers = [seen(version(truth, number), number + 1) for number in range(3)]
    assert names(truth, answers) == []


def test_an_answer_that_no_prefix_gives_is_wrong(truth: Truth) -> None:
    """A field that is not what the log says is found."""
    assert names(truth, [seen([version(truth, 2)[0] | {"algologURL": "http://x.net/"}], 1)]) == [Name.WRONG_ANSWER]


def test_a_row_of_another_job_is_wrong(truth: Truth) -> None:
    """Only what matches the query may be in its answer."""
    assert names(truth, [seen(version(truth, 1, OTHER), 1)]) == [Name.WRONG_ANSWER]


def test_an_admin_field_for_everybody_is_wrong(truth: Truth) -> None:
    """What only admins may see is found in an answer to somebody else."""
    shown = [row | {"configlogURL": "http://x.net/"} for row in version(truth, 2)]
    assert names(truth, [seen(shown, 1, query=QUERY._replace(is_admin=False))]) == [Name.WRONG_ANSWER]


def test_an_earlier_status_is_a_regression(truth: Truth) -> None:
    """A job that was shown as finished is not started afterwards."""
    assert names(truth, [seen(version(truth, 2), 1), seen(version(truth, 1), 2)]) == [Name.REGRESSED_STATUS]


def test_an_empty_answer_after_a_full_one_is_false(truth: Truth) -> None:
    """A job that was shown does not vanish."""
    assert names(truth, [seen(version(truth, 1), 1), seen([], 2)]) == [Name.FALSE_EMPTY]


def test_another_job_shows_that_the_position_went_back(truth: Truth) -> None:
    """What is answered about one job must not be older than what was answered about another one of its partition."""
    other = Query("jobId", OTHER, is_admin=True)
    answers = [seen(version(truth, 2), 1), seen(version(truth, 0, OTHER), 2, query=other)]
    assert names(truth, answers) == [Name.REGRESSED_ANSWER]


def test_answers_that_overlap_may_come_in_any_order(truth: Truth) -> None:
    """An answer that was asked for before another one was given may be the older one."""
    assert names(truth, [seen(version(truth, 2), 1, took=1), seen(version(truth, 1), 1.5)]) == []


def test_a_new_process_may_be_behind_only_after_a_loss(truth: Truth) -> None:
    """What an API that died has shown binds the next one, unless Redis lost it meanwhile."""
    answers = [seen(version(truth, 2), 1, life=0), seen(version(truth, 1), 9, life=1)]
    assert names(truth, answers) == [Name.REGRESSED_STATUS]
    assert names(truth, answers, [Loss(APPENDED + 3, APPENDED + 4)]) == []


def test_a_process_is_never_behind_itself(truth: Truth) -> None:
    """Whatever Redis lost, the same API process does not show less than it did."""
    answers = [seen(version(truth, 2), 1), seen(version(truth, 1), 9)]
    assert names(truth, answers, [Loss(APPENDED + 3, APPENDED + 4)]) == [Name.REGRESSED_STATUS]


def test_old_events_that_are_missing_must_be_owned_up_to(truth: Truth) -> None:
    """An answer without events that are long in the log is right only if it says how many are missing, or unknown."""
    late = STALE_SECONDS + 1
    stale = [seen(version(truth, 1), late, lag=lag) for lag in (0, 1, None)]
    assert [names(truth, [one]) for one in stale] == [[Name.STALE], [], []]
    assert names(truth, [seen(version(truth, 1), STALE_SECONDS - 1, lag=0)]) == []


def test_the_lag_is_that_of_the_heartbeat(truth: Truth) -> None:
    """What was acknowledged before the time at which the lag was known is shown, or counted in it."""
    acknowledged = Acknowledged()
    for offset in range(3):
        acknowledged.note(0, offset, APPENDED + offset)
    for known_at, lag, found in [(2.5, 0, [Name.FALSE_LAG]), (2.5, 1, []), (1.5, 0, []), (2.5, None, []), (9, 0, [])]:
        one = seen(version(truth, 1), 3, lag=lag)._replace(heartbeat=APPENDED + known_at)
        assert [it.name for it in Judge(truth, 1, acknowledged).judge([one], ())] == found
    whole = seen(version(truth, 2), 3, lag=0)._replace(heartbeat=APPENDED + 2.5)
    assert list(Judge(truth, 1, acknowledged).judge([whole], ())) == []


def test_a_listing_must_have_every_job(truth: Truth) -> None:
    """A job that a list leaves out, though a later event was shown, is missed."""
    rows = without_admin_fields([*version(truth, 2), *version(truth, 1, OTHER)])
    full = seen(rows, 1, query=LISTING)
    assert names(truth, [full, seen(rows, 2, query=LISTING)]) == []
    assert names(truth, [full, seen(rows[:1], 2, query=LISTING)]) == [Name.FALSE_EMPTY]


def test_buckets_stand_for_themselves(truth: Truth) -> None:
    """What a job's bucket has shown says nothing of a job in another one, and all of one in the same."""
    answers = [seen(version(truth, 2), 1), seen([], 2, query=Query("jobId", OTHER, is_admin=True))]
    judged = {buckets: list(Judge(truth, buckets).judge(answers, ())) for buckets in (2, 3)}
    assert [[anomaly.name for anomaly in found] for found in judged.values()] == [[], [Name.REGRESSED_ANSWER]]
