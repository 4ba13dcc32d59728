"""Times of events: RFC 3339 in, one sortable form inside, ISO 8601 seconds or Unix seconds out.

The sortable form has a fixed width, is in UTC and counts microseconds: `2020-10-01T01:00:00.000000`.
Compared as text it sorts by time, which is all that the fold and the script in Redis know of time.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

SORTABLE_CHARACTERS: Final = 26
# The end of the year 9999, the last that can be told.
LATEST_MILLISECONDS: Final = 253_402_300_799_999
# What RFC 3339 section 5.6 allows, with hours, minutes and seconds in range; days are checked against the calendar.
RFC3339_PATTERN: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)"
    r"(\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
MAX_AHEAD: Final = timedelta(days=1)

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the sortable form is UTC without saying so
_OUT_OF_RANGE: Final = "outside the years 1 to 9999"
_LATEST: Final = "9999-12-31T23:59:59.999999"

_WHOLE_SECONDS_CHARACTERS: Final = len("2020-10-01T01:00:00")
_SHORTEST_CHARACTERS: Final = len("2020-10-01T01:00:00Z")
_MINUTE_CHARACTERS: Final = len("2020-10-01T01:00:")
_FRACTION: Final = ".000000"
_SECONDS: Final = frozenset(f"{second:02d}" for second in range(60))
_SECOND: Final = timedelta(seconds=1)
_HOUR_MILLISECONDS: Final = 3_600_000


def sortable_time(text: str) -> str:
    """Return the sortable form of an RFC 3339 time that matches `RFC3339_PATTERN`; digits after microseconds are cut.

    A leap second counts as the second after it, as in POSIX. Raises ValueError, which never quotes the time, for a day
    that is not in the calendar, a leap second elsewhere than at 23:59 UTC, and years outside 1 to 9999 in UTC.
    """
    if text[-1] == "Z" and text[10] == "T" and text[17] != "6":  # in UTC and no leap second: right as it stands
        if text[8:10] > "28" or text < "0001":
            datetime.fromisoformat(text[:_WHOLE_SECONDS_CHARACTERS])
        if len(text) > SORTABLE_CHARACTERS:
            return text[:SORTABLE_CHARACTERS]
        return text[:-1] + _FRACTION[len(text) - _SHORTEST_CHARACTERS :]
    try:
        return _sortable(_in_utc(text))
    except OverflowError:
        raise ValueError(_OUT_OF_RANGE) from None


def usual_time(text: str) -> str | None:
    """Return the sortable form of an ASCII text that is a time in UTC as most write it; None for any other text.

    What is None here may be a time as well. What is not is one to `RFC3339_PATTERN` and the calendar.
    """
    size = len(text)
    if usual_second(text[:_WHOLE_SECONDS_CHARACTERS]) is None or text[-1] != "Z":
        return None
    if size == _SHORTEST_CHARACTERS:
        return text[:-1] + _FRACTION
    if text[_WHOLE_SECONDS_CHARACTERS] != "." or not text[_SHORTEST_CHARACTERS:-1].isdigit():
        return None
    if size > SORTABLE_CHARACTERS:
        return text[:SORTABLE_CHARACTERS]
    return text[:-1] + _FRACTION[size - _SHORTEST_CHARACTERS :]


# Many events are of one second, where there are many; where there are few, they are of one minute.
@lru_cache(maxsize=4096)
def usual_second(text: str) -> int | None:
    """Return the Unix seconds of `2020-10-01T01:00:00`; None for a leap second, and what is none of the calendar."""
    is_second = text[_MINUTE_CHARACTERS:] in _SECONDS and _is_minute(text[:_MINUTE_CHARACTERS])
    return unix_seconds(text) if is_second else None


@lru_cache(maxsize=4096)
def _is_minute(text: str) -> bool:
    """Tell whether a text is a minute of the calendar as a time begins with it: `2020-10-01T01:00:`."""
    if "T" not in text or not re.match(RFC3339_PATTERN, f"{text}00Z"):
        return False
    try:
        datetime.fromisoformat(f"{text}00")
    except ValueError:
        return False
    return True


def sortable_timestamp(milliseconds: int) -> str:
    """Return the sortable form of a Kafka record's timestamp (Unix milliseconds); ValueError beyond the year 9999."""
    try:
        return _sortable(_EPOCH + timedelta(milliseconds=milliseconds))
    except OverflowError:
        raise ValueError(_OUT_OF_RANGE) from None


@lru_cache(maxsize=4096)
def latest_allowed(milliseconds: int) -> str:
    """Return the sortable form of the latest time an event may carry whose record has this timestamp."""
    try:
        return _sortable(_EPOCH + timedelta(milliseconds=milliseconds) + MAX_AHEAD)
    except OverflowError:
        return _LATEST


def is_ahead(sortable: str, milliseconds: int) -> bool:
    """Tell whether an event's time is later than the timestamp of its record allows."""
    # The latest time of the timestamp's hour is known already, and settles it unless the clock is wrong by a day.
    hour = milliseconds - milliseconds % _HOUR_MILLISECONDS
    return sortable > latest_allowed(hour) and sortable > latest_allowed(milliseconds)


def unix_seconds(sortable: str) -> int:
    """Return the whole Unix seconds of a sortable time, rounded down."""
    return _unix_seconds(sortable[:_WHOLE_SECONDS_CHARACTERS])


def iso_seconds(sortable: str) -> str:
    """Return a sortable time as ISO 8601 in UTC with whole seconds: `2020-10-01T01:00:00Z`."""
    return sortable[:_WHOLE_SECONDS_CHARACTERS] + "Z"


def end_of_second(sortable: str) -> str:
    """Return the last microsecond of the second that holds this time."""
    return sortable[:_WHOLE_SECONDS_CHARACTERS] + ".999999"


def _in_utc(text: str) -> datetime:
    is_leap_second = text[17:19] == "60"
    if is_leap_second:
        text = text[:17] + "59" + text[19:]
    moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    if is_leap_second and (moment.hour, moment.minute) != (23, 59):
        raise ValueError("a leap second is at 23:59 UTC")
    return moment + _SECOND if is_leap_second else moment


@lru_cache(maxsize=4096)
def _unix_seconds(whole_seconds: str) -> int:
    return (datetime.fromisoformat(whole_seconds) - _EPOCH) // _SECOND


def _sortable(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")
