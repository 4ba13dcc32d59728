"""Moments as people type them: a time of RFC 3339 or ISO 8601, or how long ago, such as 90d, 12h or 15m."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import click

EXAMPLES: Final = (
    "an ISO 8601 time such as 2026-01-31T00:00:00Z, UTC unless it says otherwise, or an age such as 90d or 12h"
)

_AGE: Final = re.compile(r"([0-9]{1,7})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LEAP_SECOND: Final = re.compile(r"(T[0-9]{2}:[0-9]{2}:)60")


def typed_moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | timedelta | None:
    """Return what was typed, for an option's callback: a time in UTC, or how long before now it is."""
    if text is None:
        return None
    if age := _AGE.fullmatch(text):
        return timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        return _time(text.upper())
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is not {EXAMPLES}") from None


def _time(text: str) -> datetime:
    """Return the time; a leap second is the second after it, as in POSIX."""
    text, leap_seconds = _LEAP_SECOND.subn(r"\g<1>59", text)
    moment = datetime.fromisoformat(text)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment + timedelta(seconds=leap_seconds)
