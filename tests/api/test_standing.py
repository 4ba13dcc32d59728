"""Where a bucket stands, and how fresh it is."""

from collections.abc import Mapping

import pytest

from api.projection.standing import Freshness, Standing, freshness, standing

NOW = 1_601_514_000_000


def bucket(
    positions: dict[str, int], ends: dict[str, int] | None = None, floors: dict[str, int] | None = None, age: int = 0
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
    assert fresh == Freshness(2, "2020-10-01T01:00:00Z")


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
        [bucket({"t/0": 5}, {"t/0": 5}), bucket({"t/0": 5})],
        [bucket({"t/0": 5}, {"t/0": 5}), bucket({"t/0": 5}, {"t/0": 5}, age=6000)],
        [bucket({})],
    ],
)
def test_lag_is_unknown_when_a_partition_was_not_confirmed_lately(standings: list[Standing]) -> None:
    """One heartbeat that is missing or older than five seconds, in any bucket, makes the lag unknown."""
    assert freshness(standings, NOW).lag is None


def test_the_oldest_heartbeat_is_told() -> None:
    """The heartbeat that is told is the oldest, in whole seconds; none when there is none."""
    assert freshness([bucket({"t/0": 5}, {"t/0": 5}, age=61_000)], NOW).heartbeat == "2020-10-01T00:58:59Z"
    assert freshness([bucket({})], NOW).heartbeat is None
