"""Moments as people type them."""

from datetime import UTC, datetime, timedelta

import click
import pytest

from service.moments import typed_moment

CONTEXT = click.Context(click.Command("example"))
OPTION = click.Option(["--since"])
NOON = datetime(2026, 11, 26, 12, 30, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-26T12:30:40Z", NOON),
        ("2026-11-26t12:30:40z", NOON),
        ("2026-11-26 12:30:40", NOON),
        ("2026-11-26T14:30:40+02:00", NOON),
        ("2026-11-26T12:30:40.250Z", NOON + timedelta(milliseconds=250)),
        ("2026-11-26", datetime(2026, 11, 26, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("90d", timedelta(days=90)),
        ("2h", timedelta(hours=2)),
        ("15m", timedelta(minutes=15)),
        ("30s", timedelta(seconds=30)),
        (None, None),
    ],
)
def test_times_and_ages_are_understood(text: str | None, moment: datetime | timedelta | None) -> None:
    """Every time of RFC 3339, dates, and how long ago."""
    assert typed_moment(CONTEXT, OPTION, text) == moment


@pytest.mark.parametrize("text", ["yesterday", "", "1w", "-1d", "99999999d", "2026-02-30", "0001-01-01T00:00:00+01:00"])
def test_what_is_no_moment_is_told(text: str) -> None:
    """The sentence says what can be typed."""
    with pytest.raises(click.BadParameter, match="ISO 8601 time such as"):
        typed_moment(CONTEXT, OPTION, text)
