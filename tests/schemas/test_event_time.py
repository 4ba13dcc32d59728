"""Laws of the sortable time."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event_time import (
    MAX_AHEAD,
    RFC3339_PATTERN,
    SORTABLE_CHARACTERS,
    end_of_second,
    iso_seconds,
    latest_allowed,
    sortable_time,
    sortable_timestamp,
    unix_seconds,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
# Two days from either end of the calendar, so that every offset stays in it.
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=OFFSETS)  # noqa: DTZ001 - OFFSETS adds them
MILLISECONDS = st.integers(0, 253_402_300_799_999)


def written(moment: datetime) -> str:
    """Return the moment as RFC 3339 writes it, with its own offset."""
    return moment.isoformat(timespec="microseconds")


@given(MOMENTS, MOMENTS)
def test_sortable_order_is_time_order(one: datetime, other: datetime) -> None:
    """Compared as bytes, sortable times are in the order of the moments, whatever zones they were written in."""
    first, second = sortable_time(written(one)), sortable_time(written(other))
    assert (first.encode() < second.encode()) == (one < other)
    assert (first == second) == (one == other)


@given(MOMENTS)
def test_a_time_survives_the_round_trip(moment: datetime) -> None:
    """The sortable form is the moment to the microsecond, and its own sortable form."""
    sortable = sortable_time(written(moment))
    assert len(sortable) == SORTABLE_CHARACTERS
    assert datetime.fromisoformat(sortable + "+00:00") == moment
    assert sortable_time(sortable + "Z") == sortable


@given(MOMENTS)
def test_utc_is_written_in_many_ways(moment: datetime) -> None:
    """Z, z, t, +00:00 and the same moment at another offset are one time."""
    utc = written(moment.astimezone(UTC)).removesuffix("+00:00")
    ways = [utc + "Z", utc.lower() + "z", utc + "+00:00", utc + "-00:00", utc + "000Z", written(moment)]
    assert {sortable_time(way) for way in ways} == {utc}


@given(MOMENTS)
def test_seconds_are_those_of_the_moment(moment: datetime) -> None:
    """ISO and Unix seconds are the moment rounded down to its second, before 1970 too."""
    sortable = sortable_time(written(moment))
    assert unix_seconds(sortable) == (moment - EPOCH) // timedelta(seconds=1)
    assert datetime.fromisoformat(iso_seconds(sortable)) == moment.astimezone(UTC).replace(microsecond=0)
    assert unix_seconds(sortable_time(iso_seconds(sortable))) == unix_seconds(sortable)


@given(MOMENTS)
def test_the_end_of_a_second_is_its_last_microsecond(moment: datetime) -> None:
    """Every time of a second is at or before its end, and the next second is not."""
    sortable = sortable_time(written(moment))
    end = end_of_second(sortable)
    assert sortable <= end < sortable_time(written(moment + timedelta(seconds=1)))
    assert iso_seconds(end) == iso_seconds(sortable)


@given(MILLISECONDS)
def test_a_timestamp_is_its_moment(milliseconds: int) -> None:
    """A record's timestamp is kept exactly."""
    moment = datetime.fromisoformat(sortable_timestamp(milliseconds) + "+00:00")
    assert (moment - EPOCH) // timedelta(milliseconds=1) == milliseconds


@given(st.integers(0, 2**63 - 1))
def test_a_day_ahead_is_allowed(milliseconds: int) -> None:
    """The latest allowed time is a day after the timestamp, or the end of the calendar when there is no such day."""
    latest = latest_allowed(milliseconds)
    assert len(latest) == SORTABLE_CHARACTERS
    try:
        assert latest == sortable_timestamp(milliseconds + MAX_AHEAD // timedelta(milliseconds=1))
    except ValueError:
        assert latest == "9999-12-31T23:59:59.999999"


@given(st.from_regex(re.compile(RFC3339_PATTERN.removesuffix("$") + r"\Z")))
def test_what_matches_the_pattern_is_a_time_or_no_day(text: str) -> None:
    """A text that the pattern lets through has a sortable form or raises ValueError, which does not quote it."""
    try:
        sortable = sortable_time(text)
    except ValueError as error:
        assert text not in str(error)  # noqa: PT017 - not every text raises
    else:
        assert datetime.fromisoformat(sortable).isoformat(timespec="microseconds") == sortable


@pytest.mark.parametrize("milliseconds", [253_402_300_800_000, 2**63 - 1])
def test_a_timestamp_beyond_the_calendar_has_no_sortable_form(milliseconds: int) -> None:
    """A timestamp after the year 9999 is a ValueError."""
    with pytest.raises(ValueError, match="9999"):
        sortable_timestamp(milliseconds)
