"""Watermarks: what was shown stays shown."""

import pytest

from api.errors import NotReadyError
from api.projection.generation import Bucket
from api.projection.watermark import Watermarks, check_not_behind

BUCKET = Bucket(1, 0, "base:", "first")


def test_a_position_below_what_was_answered_from_is_not_shown() -> None:
    """Once answered from a position, an answer from before it is refused, and says how much is missing."""
    marks = Watermarks()
    marks.raise_to(BUCKET, {b"t/0": 5, b"t/1": 7})
    check_not_behind({b"t/0": 5, b"t/1": 8}, marks.of(BUCKET))
    with pytest.raises(NotReadyError, match="3 are being applied again"):
        check_not_behind({b"t/0": 4, b"t/1": 5}, marks.of(BUCKET))
    with pytest.raises(NotReadyError, match="7 are"):
        check_not_behind({b"t/0": 6}, marks.of(BUCKET))


def test_answers_that_overtake_each_other_raise_no_alarm() -> None:
    """An answer is held against what was known when it was asked for, and lowers nothing when it comes late."""
    marks = Watermarks()
    before = marks.of(BUCKET)
    marks.raise_to(BUCKET, {b"t/0": 6})
    check_not_behind({b"t/0": 5}, before)
    marks.raise_to(BUCKET, {b"t/0": 5, b"t/1": 1})
    assert marks.of(BUCKET) == {b"t/0": 6, b"t/1": 1}


def test_another_incarnation_bucket_or_generation_begins_anew() -> None:
    """A bucket that was begun anew has another history."""
    marks = Watermarks()
    marks.raise_to(BUCKET, {b"t/0": 6})
    for other in (BUCKET._replace(incarnation="second"), BUCKET._replace(number=1), BUCKET._replace(generation=2)):
        check_not_behind({}, marks.of(other))
    marks.raise_to(BUCKET._replace(incarnation="second"), {b"t/0": 1})
    assert marks.of(BUCKET) == {}
