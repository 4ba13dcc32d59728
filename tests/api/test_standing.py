"""Where a bucket stands, and how fresh it is."""

from collections.abc import Mapping

import pytest

from api.projection.standing import Freshness, Standing, freshness, standing
from schemas.redis_layout import Heartbeat

NOW = 1_601_514_000_000


def bucket(
    positions: dict[str, int],
    ends: Mapping[str, int | str] | None = None,
    floors: dict[str, int] | None = None,
    age: int = 0,
) -> Standing:
    """Return a bucket's standing, by way of what the script answers."""
    return standing(
        (
            b"",
            [b"incarnation", b"i", *_flat({f"floor:{name}": offset for name, offset in (floors or {}).items()})],
            _flat(positions),
            _flat({name: f"{NOW - age} {end}" for name, end in (ends or {}).items()}),
        )
    )


def _flat(fields: Mapping[str, object]) -> list[bytes]:
    return [str(item).encode() for pair in fields.items() for item in pair]


def test_lag_is_what_the_log_has_and_the_bucket_has_not() -> None:
    """Lag is summed over partitions, and a position beyond the end that was seen last is no negative lag."""
    fresh = freshness([bucket({"t/0": 3, "t/1": 8, "t/2": 9}, {"t/0": 5, "t/1": 8, "t/2": 7})], NOW)
    assert fresh == Freshness(2, NOW // 1000)


def test_a_partition_counts_with_the_bucket_that_is_furthest_behind() -> None:
    """With several buckets a partition's position is the smallest one."""
    ends = {"t/0": 10}
    assert freshness([bucket({"t/0": 10}, ends), bucket({"t/0": 7}, ends)], NOW).lag == 3
    assert freshness([bucket({"t/0": 10}, ends), bucket({}, ends)], NOW).lag == 10


@pytest.mark.parametrize(
    "standings",
    [
        [bucket({"t/0": 5})],
        [bucket({"t/0": 5, "t/1": 1}, {"t/0": 5})],
        [bucket({"t/0": 5}, {"t/0": 5}, floors={"t/1": 0})],
        [bucket({"t/0": 5}, {"t/0": 5}, age=5001)],
        [bucket({"t/0": 5}, {"t/0": 5}, age=-1001)],
        [bucket({"t/0": 5}, {"t/0": 5}), bucket({"t/0": 5}, {"t/0": 5}, age=-1001)],
        [bucket({"t/0": 5, "t/1": 5}, {"t/0": 5, "t/1": "- log-replaced"})],
        [bucket({"t/0": 5}, {"t/0": "-"})],
        [bucket({"t/0": 5}, {"t/0": 5}), bucket({"t/0": 5})],
        [bucket({"t/0": 5}, {"t/0": 5}), bucket({"t/0": 5}, {"t/0": 5}, age=6000)],
        [bucket({})],
    ],
)
def test_lag_is_unknown_when_a_partition_was_not_confirmed_lately(standings: list[Standing]) -> None:
    """A heartbeat that is missing, without an end, older than 5 s or more than one ahead makes the lag unknown."""
    assert freshness(standings, NOW).lag is None


def test_the_oldest_heartbeat_is_told() -> None:
    """The heartbeat that is told is the oldest, in whole seconds; none when there is none."""
    assert freshness([bucket({"t/0": 5}, {"t/0": 5}, age=61_000)], NOW).heartbeat == NOW // 1000 - 61
    assert freshness([bucket({})], NOW).heartbeat is None


def test_a_heartbeat_by_a_clock_that_is_a_little_ahead_counts() -> None:
    """Clocks of servers that take turns differ by a moment."""
    assert freshness([bucket({"t/0": 5}, {"t/0": 5}, age=-1000)], NOW).lag == 0


def test_what_is_held_is_told() -> None:
    """Each code is told once, in a fixed order; where the end is known the lag is a number."""
    ends: dict[str, int | str] = {"t/0": "9 unreadable", "t/1": "7 letters-away", "t/2": "5 unreadable", "t/3": 4}
    fresh = freshness([bucket({"t/0": 5, "t/1": 7, "t/2": 5, "t/3": 3}, ends)], NOW)
    assert (fresh.lag, fresh.held) == (5, ("letters-away", "unreadable"))


def test_an_answer_of_several_calls_is_as_fresh_as_its_worst() -> None:
    """The greatest lag, or that it is unknown; the oldest heartbeat, or that there is none; and all that is held."""
    first, second = Freshness(3, 20, ("unreadable",)), Freshness(2, 10, ("events-gone",))
    for fresh in (first.lowest(second), second.lowest(first)):
        assert fresh == Freshness(3, 10, ("events-gone", "unreadable"))
    assert first.lowest(Freshness(None, None)) == Freshness(None, None, ("unreadable",))
    assert first.lowest(first) == first


@pytest.mark.parametrize(
    "stored", [b"5 6 log-replaced x", b"5", b"x 5", b"5 x", b"5  6", b"5 6 ", b"-5 6", b"5 6 7", b"253402300800000 6"]
)
def test_a_damaged_heartbeat_is_noticed(stored: bytes) -> None:
    """What nobody of ours has written is not taken for a heartbeat."""
    with pytest.raises(ValueError, match="is no"):
        Heartbeat.of(stored)


@pytest.mark.parametrize("stored", [b"5 6", b"5 - no-leader", b"5 -", b"5 6 letters-away"])
def test_a_heartbeat_is_read_as_it_is_written(stored: bytes) -> None:
    """Reading and writing are each other's inverse."""
    assert Heartbeat.of(stored).stored.encode() == stored
