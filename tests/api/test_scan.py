"""Scans: buckets are merged into one order, whatever portions they answer in."""

import asyncio
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter

from hypothesis import given
from hypothesis import strategies as st

from api.projection.generation import Bucket, Generation
from api.projection.lookup import Lookup, Place, Portion, Row, Search, place_of
from api.projection.scan import Branch, Scan, merge
from api.projection.standing import Standing

STANDING = Standing("i", is_sealed=False, sift=None, floors={}, positions={}, heartbeats={})
PLACES = st.lists(st.tuples(st.integers(-3, 3), st.text("ab", min_size=1, max_size=3)), unique=True, max_size=30)


def row(place: tuple[int, str]) -> Row:
    """Return a row that holds nothing but its place."""
    return [str(place[0]).encode(), place[1].encode()]


def portion(rows: list[Row], after: Place | None, *, is_done: bool) -> Portion:
    """Return what a bucket answers."""
    return Portion(rows, after, is_done, STANDING, 0)


class Buckets:
    """Buckets that answer in portions of any size, as the script does when its time is up."""

    def __init__(self, places: Sequence[Sequence[tuple[int, str]]], portions: Sequence[int]) -> None:
        self.places = [sorted(bucket) for bucket in places]
        self._portions = portions
        self._asked = 0

    def ask(self, bucket: Bucket, lookup: Lookup) -> asyncio.Future[Portion]:
        """Answer with the rows after the place that is asked for."""
        count = min(self._portions[self._asked % len(self._portions)], lookup.wanted)
        self._asked += 1
        rest = [place for place in self.places[bucket.number] if lookup.after is None or place > lookup.after]
        given = rest[:count]
        after = Place(*given[-1]) if given else lookup.after
        future: asyncio.Future[Portion] = asyncio.get_running_loop().create_future()
        future.set_result(portion([row(place) for place in given], after, is_done=len(given) == len(rest)))
        return future


async def read(buckets: Buckets, after: Place | None = None) -> list[Place]:
    """Return the places of a whole scan."""
    named = tuple(Bucket(1, number, f"{number}:", "i") for number in range(len(buckets.places)))
    scan = Scan(buckets.ask, Generation(1, named), Search(("owner:x",), None, after), asyncio.Lock())
    places = []
    while not scan.is_done:
        await scan.fill(5)
        places += [place_of(row) for row in scan.take_rows()]
    return places


@given(
    st.lists(PLACES, min_size=1, max_size=4),
    st.lists(st.integers(0, 5), min_size=1, max_size=7).filter(any),
)
def test_a_scan_gives_every_row_once_and_in_order(places: list[list[tuple[int, str]]], portions: list[int]) -> None:
    """However many buckets there are and in whatever portions they answer, each row comes once and in order."""
    assert asyncio.run(read(Buckets(places, portions))) == sorted(chain.from_iterable(places))


@given(st.lists(PLACES, min_size=2, max_size=3), st.integers(0, 40))
def test_a_scan_goes_on_after_any_place(places: list[list[tuple[int, str]]], count: int) -> None:
    """A scan that begins after a place gives what a whole scan gives after it, also where that row is gone."""
    whole = sorted(chain.from_iterable(places))
    after = whole[min(count, len(whole) - 1)] if whole else (0, "a")
    gone = [[place for place in bucket if place != after] for bucket in places]
    assert asyncio.run(read(Buckets(gone, [3]), Place(*after))) == [place for place in whole if place > after]


def test_nothing_is_handed_on_while_a_bucket_was_not_looked_at() -> None:
    """A bucket that had no turn yet may hold the newest job of all, so nothing is handed on before it answered."""
    looked_at, waiting = (Branch(Bucket(1, number, "", "i"), None) for number in range(2))
    looked_at.take_in(portion([row((1, "a"))], Place(1, "a"), is_done=False))
    waiting.take_in(portion([], None, is_done=False))
    assert merge([looked_at, waiting]) == []
    waiting.take_in(portion([row((0, "b"))], None, is_done=True))
    assert [place_of(row) for row in merge([looked_at, waiting])] == [(0, "b"), (1, "a")]


def test_rows_of_one_second_keep_the_order_of_their_bytes() -> None:
    """Members of one second are ordered as Redis orders them, by their bytes."""
    members = ["Z1", "a1", "+1", "/1", "b21", "a9"]
    done = Branch(Bucket(1, 0, "", "i"), None)
    other = Branch(Bucket(1, 1, "", "i"), None)
    done.take_in(portion([row((0, member)) for member in sorted(members[:3])], None, is_done=True))
    other.take_in(portion([row((0, member)) for member in sorted(members[3:])], None, is_done=True))
    merged = [place_of(row).member for row in merge([done, other])]
    assert merged == sorted(members, key=str.encode)
    assert itemgetter(0, -1)(merged) == ("+1", "b21")
