"""When a bucket may be shown: it is the one that was announced, has caught up, and what was shown stays shown."""

import pytest

from api.projection.errors import NotReadyError, StaleGenerationError
from api.projection.generation import Bucket
from api.projection.readiness import Readiness
from api.projection.standing import Offsets, Standing

BUCKET = Bucket(1, 0, "base:", "first")


def standing(positions: Offsets, floors: Offsets | None = None, incarnation: str | None = "first") -> Standing:
    """Return where a bucket stands."""
    return Standing(incarnation, is_sealed=False, sift=None, floors=floors or {}, positions=positions, heartbeats={})


def show(
    readiness: Readiness, now: Standing, *, bucket: Bucket = BUCKET, known_before: Offsets | None = None
) -> Offsets:
    """Return the watermark after a bucket was shown; `known_before` is that of the moment when it was asked."""
    readiness.check(bucket, now, readiness.watermark(bucket) if known_before is None else known_before)
    return readiness.watermark(bucket)


@pytest.mark.parametrize(
    ("positions", "floors"), [({b"t/0": 5, b"t/1": 9}, {b"t/0": 5, b"t/1": 7}), ({}, {b"t/0": 0}), ({}, {})]
)
def test_a_bucket_at_its_floors_is_ready(positions: Offsets, floors: Offsets) -> None:
    """A bucket that reached the end that the log had when it was begun is shown; so is one of an empty log."""
    assert show(Readiness(), standing(positions, floors)) == positions


@pytest.mark.parametrize(
    ("positions", "floors", "percent"),
    [
        ({b"t/0": 63}, {b"t/0": 100}, 63),
        ({}, {b"t/0": 10}, 0),
        ({b"t/0": 999, b"t/1": 26}, {b"t/0": 100, b"t/1": 100}, 63),
        ({b"t/0": 999_999}, {b"t/0": 1_000_000}, 99),
    ],
)
def test_a_bucket_below_a_floor_says_how_far_it_is(positions: Offsets, floors: Offsets, percent: int) -> None:
    """A bucket that is being filled is not shown, and says how far it is; never 100 %."""
    readiness = Readiness()
    with pytest.raises(NotReadyError, match=f"rebuilding, {percent} %"):
        show(readiness, standing(positions, floors))
    assert readiness.watermark(BUCKET) == {}


@pytest.mark.parametrize(("incarnation", "sentence"), [(None, "gone"), ("second", "replaced")])
def test_a_bucket_that_is_gone_or_another_one_is_not_shown(incarnation: str | None, sentence: str) -> None:
    """A bucket without meta, or with another incarnation than the pointer's, is not shown."""
    with pytest.raises(StaleGenerationError, match=sentence):
        show(Readiness(), standing({}, incarnation=incarnation))


def test_a_position_below_what_was_answered_from_is_not_shown() -> None:
    """Once answered from a position, an answer from before it is refused, and says how much is missing."""
    readiness = Readiness()
    show(readiness, standing({b"t/0": 5, b"t/1": 7}))
    show(readiness, standing({b"t/0": 5, b"t/1": 8}))
    with pytest.raises(NotReadyError, match="4 are being applied again"):
        show(readiness, standing({b"t/0": 4, b"t/1": 5}))
    with pytest.raises(NotReadyError, match="8 are"):
        show(readiness, standing({b"t/0": 6}))


def test_answers_that_overtake_each_other_raise_no_alarm() -> None:
    """An answer is held against what was known when it was asked for, and lowers nothing when it comes late."""
    readiness = Readiness()
    before = readiness.watermark(BUCKET)
    show(readiness, standing({b"t/0": 6}))
    assert show(readiness, standing({b"t/0": 5, b"t/1": 1}), known_before=before) == {b"t/0": 6, b"t/1": 1}


@pytest.mark.parametrize(
    "other", [BUCKET._replace(incarnation="second"), BUCKET._replace(number=1), BUCKET._replace(generation=2)]
)
def test_another_incarnation_bucket_or_generation_begins_anew(other: Bucket) -> None:
    """A bucket that was begun anew has another history."""
    readiness = Readiness()
    show(readiness, standing({b"t/0": 6}))
    assert show(readiness, standing({b"t/0": 1}, incarnation=other.incarnation), bucket=other) == {b"t/0": 1}


def test_an_incarnation_that_comes_back_is_held_against_what_was_shown_since() -> None:
    """A replica that missed the emptying of its primary has the incarnation of before, and is promoted with it."""
    readiness, second = Readiness(), BUCKET._replace(incarnation="second")
    show(readiness, standing({b"t/0": 6, b"t/1": 2}))
    show(readiness, standing({b"t/0": 9}, incarnation="second"), bucket=second)
    with pytest.raises(NotReadyError, match="2 are being applied again"):
        show(readiness, standing({b"t/0": 7, b"t/1": 2}))
    whole = {b"t/0": 9, b"t/1": 2}
    assert show(readiness, standing(whole)) == whole
    assert readiness.watermark(second) == whole


def test_few_incarnations_are_remembered() -> None:
    """A bucket that is begun again for ever costs no more memory for ever."""
    readiness = Readiness()
    show(readiness, standing({b"t/0": 6}))
    for number in range(1000):
        name = f"incarnation-{number}"
        show(readiness, standing({b"t/0": 1}, incarnation=name), bucket=BUCKET._replace(incarnation=name))
    assert readiness.watermark(BUCKET) == {}
