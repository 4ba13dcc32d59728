"""The truth counts every offset of the log, those that nobody is given too."""

import orjson
import pytest

from tests.support.events import PolledRecord, event
from tests.torture.judging.truth import Truth

AT = 1_601_514_000.0


def record(offset: int, seconds: float) -> PolledRecord:
    """Return a report of a job at this offset, appended so many seconds later."""
    value = orjson.dumps(event("started", event_id="a", attempt=1))
    return PolledRecord("t", 0, offset, value, key=b"k", timestamp=int((AT + seconds) * 1000))


def test_what_is_in_no_record_counts_as_well() -> None:
    """Markers and what was aborted are below the end, from when it can be known at the latest."""
    truth = Truth()
    truth.add(record(0, 0))
    truth.add(record(4, 10))
    truth.reach(0, 7, AT + 20)
    assert truth.ends == {0: 7}
    assert [truth.end_at(0, AT + seconds) for seconds in (0, 9, 10, 20)] == [1, 1, 5, 7]


def test_a_log_never_goes_back() -> None:
    """An offset that was read before is a mistake of the reader, or another log."""
    truth = Truth()
    truth.reach(0, 3, AT)
    with pytest.raises(ValueError, match="offset 2 of partition 0"):
        truth.add(record(2, 1))
