"""The time of an event: what is understood, and what it may be beside the record's own timestamp."""

import pytest

from schemas.decode import Reason
from tests.support.decoding import GOOD, NO_TIMESTAMP, TIMESTAMP, accepted, refused, with_attributes, without

DAY_MILLISECONDS = 86_400_000
DISTANT_MILLISECONDS = 2**63 - 1


@pytest.mark.parametrize(
    "wrong",
    [
        " ",
        "-2020-10-01T01:00:00Z",
        "10000-01-01T00:00:00Z",
        "+2020-10-01T01:00:00Z",
        "0000-01-01T00:00:00Z",
        "0000-01-01T00:00:00.5Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
        "2020-10-01T01:00:00",
        "2020-10-01",
        "2020-10-01 01:00:00Z",
        "2020-10-01T01:00Z",
        "20201001T010000Z",
        "2020-W40-4T01:00:00Z",
        "2020-10-01T24:00:00Z",
        "2020-10-01T23:60:00Z",
        "2020-10-01T23:59:61Z",
        "2020-00-01T01:00:00Z",
        "2020-13-01T01:00:00Z",
        "2020-10-00T01:00:00Z",
        "2020-10-32T01:00:00Z",
        "2021-02-29T01:00:00Z",
        "2021-02-29T01:00:00.5+01:00",
        "2021-02-29t01:00:00z",
        "2021-04-31T01:00:00.123456Z",
        "1900-02-29T01:00:00Z",
        "2020-10-01T01:00:00.Z",
        "2020-10-01T01:00:00,5Z",
        "2020-10-01T01:00:00+24:00",
        "2020-10-01T01:00:00+01:60",
        "2020-10-01T01:00:00+01",
        "2020-10-01T01:00:00+0100",
        "2020-10-01T01:00:00+01:00:30",
        "2020-10-01T01:00:00 Z",
        " 2020-10-01T01:00:00Z",
        "2020-10-01T01:00:00Z\n",
        "2020-10-01T01:00:00−01:00",
        "２020-10-01T01:00:00Z",
        "2020-10-01T01:00:60Z",
        "2020-10-01T23:59:60+01:00",
        "now",
        1601514000,
        1601514000.5,
        True,
        ["2020-10-01T01:00:00Z"],
        {},
    ],
)
def test_what_is_no_time_is_refused(wrong: object) -> None:
    """A time that is not RFC 3339 with its zone, or not in the calendar, becomes a dead letter."""
    assert refused(with_attributes(time=wrong), timestamp=NO_TIMESTAMP) is Reason.INVALID_TIME


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-10-01T01:00:00Z", "2020-10-01T01:00:00.000000"),
        ("2020-10-01t01:00:00z", "2020-10-01T01:00:00.000000"),
        ("2020-10-01T01:00:00.5Z", "2020-10-01T01:00:00.500000"),
        ("2020-10-01t01:00:00.123456z", "2020-10-01T01:00:00.123456"),
        ("2020-10-01T01:00:00.12345Z", "2020-10-01T01:00:00.123450"),
        ("2020-10-01T01:00:00.123456Z", "2020-10-01T01:00:00.123456"),
        ("2020-12-31T23:59:59.1Z", "2020-12-31T23:59:59.100000"),
        ("2020-10-01T01:00:00.1234569Z", "2020-10-01T01:00:00.123456"),
        ("2020-10-01T01:00:00." + "9" * 1000 + "Z", "2020-10-01T01:00:00.999999"),
        ("2020-10-01T01:00:00." + "9" * 1000 + "+00:00", "2020-10-01T01:00:00.999999"),
        ("2020-10-01T01:00:00+00:00", "2020-10-01T01:00:00.000000"),
        ("2020-10-01T01:00:00-00:00", "2020-10-01T01:00:00.000000"),
        ("2020-10-01t03:30:00.25+02:30", "2020-10-01T01:00:00.250000"),
        ("2020-09-30T20:00:00-05:00", "2020-10-01T01:00:00.000000"),
        ("2020-10-01T01:00:00+23:59", "2020-09-30T01:01:00.000000"),
        ("2020-02-29T00:00:00Z", "2020-02-29T00:00:00.000000"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000"),
        ("2016-12-31t23:59:60.5z", "2017-01-01T00:00:00.500000"),
        ("2017-01-01T08:59:60+09:00", "2017-01-01T00:00:00.000000"),
        ("2016-12-31T15:59:60.25-08:00", "2017-01-01T00:00:00.250000"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000"),
        ("0001-01-01T00:01:00+00:01", "0001-01-01T00:00:00.000000"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999"),
        ("9999-12-31T23:58:59-00:01", "9999-12-31T23:59:59.000000"),
        ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59.000000"),
    ],
)
def test_a_time_is_kept_in_utc_to_the_microsecond(text: str, moment: str) -> None:
    """Every way that RFC 3339 has to write a time gives the same moment; a leap second is the second after it."""
    assert accepted(with_attributes(time=text), timestamp=NO_TIMESTAMP).time == moment


@pytest.mark.parametrize(
    "value",
    [without("time"), with_attributes(time=None), with_attributes(time=""), with_attributes(time=[])],
    ids=["missing", "null", "empty", "empty array"],
)
@pytest.mark.parametrize(
    ("timestamp", "moment"),
    [
        (0, "1970-01-01T00:00:00.000000"),
        (1, "1970-01-01T00:00:00.001000"),
        (TIMESTAMP, "2020-10-01T01:00:00.500000"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999000"),
    ],
)
def test_without_a_time_the_timestamp_of_the_record_counts(value: bytes, timestamp: int, moment: str) -> None:
    """A time that is not given is the record's timestamp."""
    assert accepted(value, timestamp=timestamp).time == moment


@pytest.mark.parametrize("timestamp", [NO_TIMESTAMP, -2, -DISTANT_MILLISECONDS])
def test_without_any_time_an_event_is_refused(timestamp: int) -> None:
    """An event without a time in a record without a timestamp happened nobody knows when."""
    assert refused(without("time"), timestamp=timestamp) is Reason.NO_TIME
    assert accepted(GOOD, timestamp=timestamp) == accepted(GOOD)


@pytest.mark.parametrize("timestamp", [253_402_300_800_000, 2**53, DISTANT_MILLISECONDS])
def test_a_timestamp_beyond_the_calendar_is_no_time(timestamp: int) -> None:
    """A record's timestamp after the year 9999 is no time, but does not harm an event that has one."""
    assert refused(without("time"), timestamp=timestamp) is Reason.INVALID_TIME
    assert accepted(GOOD, timestamp=timestamp) == accepted(GOOD)


@pytest.mark.parametrize(
    ("text", "is_ahead"),
    [
        ("2020-10-02T01:00:00.500Z", False),
        ("2020-10-02T01:00:00.500001Z", True),
        ("2020-10-02T01:00:01Z", True),
        ("2020-10-02T02:00:00.5+01:00", False),
        ("9999-12-31T23:59:59Z", True),
        ("0001-01-01T00:00:00Z", False),
    ],
)
def test_a_time_may_be_a_day_ahead_of_the_record(text: str, is_ahead: bool) -> None:  # noqa: FBT001
    """A worker's clock may be ahead by a day to the microsecond, and late by any time."""
    value = with_attributes(time=text)
    if is_ahead:
        assert refused(value) is Reason.TIME_AHEAD
    else:
        assert accepted(value).time
    assert accepted(value, timestamp=NO_TIMESTAMP).time


def test_a_timestamp_of_zero_is_a_timestamp() -> None:
    """A record of the first millisecond of 1970 bounds its event's time like any other."""
    assert refused(GOOD, timestamp=0) is Reason.TIME_AHEAD
    assert accepted(with_attributes(time="1970-01-02T00:00:00Z"), timestamp=0).time == "1970-01-02T00:00:00.000000"


def test_the_last_day_of_the_calendar_has_no_day_after_it() -> None:
    """A record of the year 9999 bounds nothing, rather than failing."""
    last = 253_402_300_799_999
    value = with_attributes(time="9999-12-31T23:59:59.999999Z")
    assert accepted(value, timestamp=last).time == "9999-12-31T23:59:59.999999"
    assert refused(value, timestamp=last - 2 * DAY_MILLISECONDS) is Reason.TIME_AHEAD
