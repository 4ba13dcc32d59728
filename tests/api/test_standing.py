"""Where a bucket stands: when it may be shown, and how fresh it is."""

from collections.abc import Mapping

import pytest

from api.errors import NotReadyError, StaleGenerationError
from api.projection.standing import Freshness, Standing, check_ready, freshness, standing

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


def test_a_bucket_at_its_floors_is_ready() -> None:
    """A bucket that reached the end that the log had when it was begun is shown; so is one of an empty log."""
    check_ready(bucket({"t/0": 5, "t/1": 9}, floors={"t/0": 5, "t/1": 7}), "i")
    check_ready(bucket({}, floors={"t/0": 0}), "i")
    check_ready(bucket({}), "i")


@pytest.mark.parametrize(
    ("positions", "floors", "percent"),
    [
        ({"t/0": 63}, {"t/0": 100}, 63),
        ({}, {"t/0": 10}, 0),
        ({"t/0": 999, "t/1": 26}, {"t/0": 100, "t/1": 100}, 63),
        ({"t/0": 999_999}, {"t/0": 1_000_000}, 99),
    ],
)
def test_a_bucket_below_a_floor_says_how_far_it_is(
    positions: dict[str, int], floors: dict[str, int], percent: int
) -> None:
    """A bucket that is being filled is not shown, and says how far it is; never 100 %."""
    with pytest.raises(NotReadyError, match=f"rebuilding, {percent} %"):
        check_ready(bucket(positions, floors=floors), "i")


def test_a_bucket_that_is_gone_or_another_one_is_not_shown() -> None:
    """A bucket without meta, or with another incarnation than the pointer's, is not shown."""
    with pytest.raises(StaleGenerationError, match="gone"):
        check_ready(standing((b"1", [], [], [])), "i")
    with pytest.raises(StaleGenerationError, match="replaced"):
        check_ready(bucket({}), "another")


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
