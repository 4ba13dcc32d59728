"""The judge of long lists finds what is there twice and what is missing, and blames nobody for what moved."""

import orjson
import pytest

from tests.support.events import PolledRecord, event
from tests.torture.clients.walks import PAGES, STREAM, Walk
from tests.torture.judging.anomalies import Name
from tests.torture.judging.judge import STALE_SECONDS
from tests.torture.judging.truth import Rows, Truth, without_admin_fields
from tests.torture.judging.walks import WalkJudge

STILL, MOVED = "3333", "4444"
OWNER = "0x1111"
BEGAN = 1_601_514_100.0  # when the list was asked for
LONG_AGO, MEANWHILE = BEGAN - STALE_SECONDS - 1, BEGAN + 1


@pytest.fixture
def truth() -> Truth:
    """A log in which one job is old, and another one goes on while the list is read."""
    truth = Truth()
    reports = [
        (LONG_AGO, event("started", job=STILL, event_id="a", attempt=1)),
        (LONG_AGO, event("started", job=MOVED, event_id="b", attempt=1)),
        (MEANWHILE, event("running", job=MOVED, event_id="c", attempt=1)),
    ]
    for offset, (at, one) in enumerate(reports):
        truth.add(PolledRecord("t", 0, offset, orjson.dumps(one), key=b"k", timestamp=int(at * 1000)))
    return truth


def shown(truth: Truth, job_id: str, version: int = -1) -> Rows:
    """Return how everybody sees a version of a job."""
    return without_admin_fields(truth.versions(job_id)[version].rows)


def names(truth: Truth, rows: Rows, kind: str = STREAM, *, is_current: bool = True) -> list[Name]:
    """Return the names of what is wrong with a list that was read for two seconds."""
    walk = Walk(kind, OWNER, is_admin=False, started=BEGAN, ended=BEGAN + 2, is_current=is_current, rows=rows)
    return [anomaly.name for anomaly in WalkJudge(truth).judge([walk])]


def test_a_job_that_moved_may_be_seen_before_or_after(truth: Truth) -> None:
    """What changes while a list is read is right in either state, or from page to page in none or both."""
    still, before, after = shown(truth, STILL), shown(truth, MOVED, 1), shown(truth, MOVED)
    assert before != after
    for kind in (STREAM, PAGES):
        for moved in (before, after):
            assert names(truth, still + moved, kind) == []
    assert names(truth, still + before + after, PAGES) == []
    assert names(truth, still, PAGES) == []


def test_nothing_is_twice_in_a_stream(truth: Truth) -> None:
    """A job that moves must not be met again."""
    rows = shown(truth, STILL) + shown(truth, MOVED, 1) + shown(truth, MOVED)
    assert names(truth, rows) == [Name.TWICE]


@pytest.mark.parametrize("kind", [STREAM, PAGES])
def test_a_job_that_stood_still_is_there_once(truth: Truth, kind: str) -> None:
    """Neither twice nor missing, and as the log says."""
    still, moved = shown(truth, STILL), shown(truth, MOVED)
    assert names(truth, still + still + moved, kind) == [Name.TWICE]
    assert names(truth, moved, kind) == [Name.MISSED]
    assert names(truth, [still[0] | {"status": 4}, *moved], kind) == [Name.WRONG_ANSWER]


def test_what_is_owned_up_to_may_be_missing(truth: Truth) -> None:
    """An answer that does not say that all is there may lack a job, but has none twice."""
    assert names(truth, [], is_current=False) == []
    assert names(truth, shown(truth, STILL) * 2, is_current=False) == [Name.TWICE]


def test_what_the_log_does_not_say_is_wrong(truth: Truth) -> None:
    """Neither a job of somebody else nor a state that never was."""
    still, moved = shown(truth, STILL), shown(truth, MOVED)
    assert names(truth, [*still, *moved, still[0] | {"jobId": "5555"}]) == [Name.WRONG_ANSWER]
    assert names(truth, [*still, moved[0] | {"status": 4}]) == [Name.WRONG_ANSWER]
