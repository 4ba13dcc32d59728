"""The schedule of faults."""

from itertools import combinations

from tests.torture.faults.schedule import RECIPES, RECOVERY_SECONDS, Kind, schedule

SECONDS = 30.0
ROUNDS = 60


def test_a_seed_decides_everything() -> None:
    """The same seed and round give the same faults, others give others."""
    assert schedule(1, 1, SECONDS) == schedule(1, 1, SECONDS)
    assert schedule(1, 1, SECONDS) != schedule(1, 2, SECONDS) != schedule(2, 2, SECONDS)


def test_every_kind_happens_within_an_hour() -> None:
    """No kind of fault is so rare that an hour could miss it, and kills are frequent."""
    faults = [fault for number in range(ROUNDS) for fault in schedule(1, number, SECONDS)]
    assert {fault.kind for fault in faults} == set(Kind)
    assert sum(fault.is_kill for fault in faults) > ROUNDS * SECONDS / 5


def test_faults_of_one_target_follow_each_other() -> None:
    """A target is harmed by one fault at a time, so that each does what its name says."""
    for number in range(ROUNDS):
        for one, other in combinations(schedule(1, number, SECONDS), 2):
            if set(one.targets) & set(other.targets):
                assert one.at_seconds + one.seconds + RECOVERY_SECONDS * one.is_kill <= other.at_seconds


def test_of_few_kinds_none_is_left_out() -> None:
    """Who looks into something sees it in every round."""
    wanted = {Kind.FLUSH, Kind.STALL}
    assert {fault.kind for number in range(3) for fault in schedule(1, number, SECONDS, wanted)} == wanted


def test_only_some_kinds() -> None:
    """To look into something, other faults can be left out."""
    assert {fault.kind for fault in schedule(1, 1, SECONDS, [Kind.FLUSH])} == {Kind.FLUSH}
    assert set(RECIPES) == set(Kind)
