"""Of a log made anew nobody knows how far the projection is behind it, and nothing of it is applied."""

import pytest

from tests.torture.clients.observation import Observation, Query
from tests.torture.judging.anomalies import Name
from tests.torture.judging.judge import STALE_SECONDS
from tests.torture.judging.new_log import judge_new_log

MADE = 1_601_514_000.0
POSITIONS = {0: 100, 1: 90}


def answered(lag: int | None, after_seconds: float = STALE_SECONDS + 1, status: int = 200) -> Observation:
    """Return an answer that many seconds after the log was made anew."""
    at = MADE + after_seconds
    return Observation(Query("jobId", "3333", is_admin=False), at, at + 0.1, 0, status, lag, b"[]")


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        ([answered(None), answered(None, status=503)], []),
        ([answered(0, after_seconds=1), answered(None)], []),
        ([answered(None), answered(0)], [Name.FALSE_LAG]),
        ([answered(7)], [Name.FALSE_LAG]),
        ([answered(0, after_seconds=1)], [Name.STUCK]),
    ],
)
def test_the_lag_is_unknown(seen: list[Observation], found: list[Name]) -> None:
    """Whoever says a number, once it can be known, is wrong; an answer or its absence is needed to tell."""
    assert [it.name for it in judge_new_log(MADE, seen, POSITIONS, POSITIONS)] == found


def test_nothing_of_it_is_applied() -> None:
    """A position that moves is one that mixes two logs."""
    (found,) = judge_new_log(MADE, [answered(None)], POSITIONS, POSITIONS | {1: 30})
    assert found.name is Name.WRONG_PROJECTION
    assert "{1: (90, 30)}" in found.detail
