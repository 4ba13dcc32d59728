"""What is asked of a bucket and what it answers, as arguments and reply of `read.lua`."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from api.errors import DamagedKeyError
from api.projection.standing import Standing

# The values of STORED_FIELDS, then score and member.
Row = list[bytes | None]

_SCORE_AT: Final = -2
_MEMBER_AT: Final = -1


class Place(NamedTuple):
    """A place in the order of an answer; the member '' stands before all others of its score."""

    score: int
    member: str


class Lookup(NamedTuple):
    """Which jobs are wanted: those in every one of the indexes, at most `wanted`, after a place or from the start."""

    indexes: tuple[str, ...]
    wanted: int
    after: Place | None


class Answer(NamedTuple):
    """Rows in order, the place to go on after, whether there are no more; and where the bucket stood, and when.

    Redis limits its work, so no rows does not mean that there are no more, and the place may be where it was. The
    time is in milliseconds of Redis' clock.
    """

    rows: list[Row]
    after: Place | None
    is_done: bool
    standing: Standing
    milliseconds: int


def place_of(row: Row) -> Place:
    """Return the place of a row."""
    return Place(int(row[_SCORE_AT] or 0), (row[_MEMBER_AT] or b"").decode())


def argument(lookups: Iterable[Lookup]) -> str:
    """Return the script's argument for the lookups."""
    return "\n".join([_line(*lookup) for lookup in lookups])


def answer_of(reply: Sequence[Any], standing: Standing, milliseconds: int) -> Answer:
    """Return what the script replied to a lookup; DamagedKeyError when it met a key of a wrong type."""
    reason = reply[0]
    if reason == b"all":
        return Answer(reply[1], None, True, standing, milliseconds)  # noqa: FBT003 - three times slower by name
    if reason == b"damaged":
        raise DamagedKeyError(reply[1].decode(errors="replace"))
    _, rows, score, member = reply
    after = Place(int(score), member.decode()) if score else None
    return Answer(rows, after, False, standing, milliseconds)  # noqa: FBT003 - three times slower by name


def _line(indexes: tuple[str, ...], wanted: int, after: Place | None) -> str:
    names = "\t".join(indexes)
    return f"{wanted}\t\t\t{names}" if after is None else f"{wanted}\t{after.score}\t{after.member}\t{names}"
