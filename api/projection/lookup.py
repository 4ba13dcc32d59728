"""What is searched for, what of it a bucket is asked, and what it answers; values only."""

from typing import Final, NamedTuple

from api.projection.standing import Standing
from schemas.diagnosis.case import Letter
from schemas.refused_event import letters_in

# The values of STORED_FIELDS, then the refused events of the job as lines (None where there are none or nobody asked,
# empty where they cannot be read), score and member.
Row = list[bytes | None]

_REFUSED_AT: Final = -3
_SCORE_AT: Final = -2
_MEMBER_AT: Final = -1


class Place(NamedTuple):
    """A place in the order of an answer; the member '' stands before all others of its score."""

    score: int
    member: str


class Search(NamedTuple):
    """Which jobs are wanted: those in every one of the indexes, after a place or from the start.

    `digest` is that of the one job, when its identity is whole; `with_refused`: and with them their refused events.
    """

    indexes: tuple[str, ...]
    digest: str | None
    after: Place | None
    with_refused: bool = False


class Lookup(NamedTuple):
    """What a bucket is asked: at most `wanted` jobs in every one of the indexes, after a place or from the start."""

    indexes: tuple[str, ...]
    wanted: int
    after: Place | None
    with_refused: bool = False


class FeedPlace(NamedTuple):
    """An entry of a bucket's feed, the later the greater: its id, and what tells it from another one of that id."""

    milliseconds: int
    number: int
    check: str

    @property
    def entry(self) -> str:
        """The id of the entry in Redis."""
        return f"{self.milliseconds}-{self.number}"


# Where there is no feed yet.
NO_ENTRY: Final = FeedPlace(0, 0, "")


class Changes(NamedTuple):
    """What a bucket is asked to be followed: jobs, in every one of the indexes, that changed after an entry.

    At most so many entries are looked at; so many jobs of the next one, `known`, were looked at already.
    """

    indexes: tuple[str, ...]
    wanted: int
    after: FeedPlace
    known: int = 0


class Changed(NamedTuple):
    """The rows of jobs that changed, as they are now, and who was let go; and where the bucket stood, and when.

    `reached` is the entry up to which all is told, `known` how many jobs of the next one are told too, and `feed` the
    last entry at that moment. Nobody knows what changed when it `is_lost`: the entry to go on after is not there; or
    `is_everything`: too many jobs changed to be named.
    """

    rows: list[Row]
    gone: tuple[bytes, ...]
    reached: FeedPlace
    known: int
    is_done: bool
    is_everything: bool
    is_lost: bool
    standing: Standing
    milliseconds: int
    feed: FeedPlace


class Portion(NamedTuple):
    """Rows in order, the place to go on after, whether there are no more; and where the bucket stood, and when.

    Redis limits its work, so no rows does not mean that there are no more, and the place may be where it was. The
    time is in milliseconds of Redis' clock. `is_whole` is False when a row was left out, since it is no job;
    `passed_over` counts members that were looked at and are not in every index. `feed` is the last entry of the feed at
    that moment. `left` is how many rows follow at least, 0 when nobody knows; some may be of jobs that have expired.
    """

    rows: list[Row]
    after: Place | None
    is_done: bool
    standing: Standing
    milliseconds: int
    is_whole: bool = True
    passed_over: int = 0
    feed: FeedPlace = NO_ENTRY
    left: int = 0


def place_of(row: Row) -> Place:
    """Return the place of a row."""
    return Place(int(row[_SCORE_AT] or 0), member_of(row).decode())


def refused_of(row: Row) -> list[Letter] | None:
    """Return the events of a row's job that were refused; None when they cannot be read."""
    lines = row[_REFUSED_AT]
    if lines is None:
        return []
    try:
        return letters_in(lines)
    except ValueError:
        return None


def member_of(row: Row) -> bytes:
    """Return the member whose row it is."""
    return row[_MEMBER_AT] or b""
