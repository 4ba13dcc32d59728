"""Cursors: given out, taken back, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.asking.cursor import decode_cursor, encode_cursor
from api.projection.lookup import Place

PLACE = Place(-1601514000, "8fmubL8PrRtctLguqcl6xga1")
PLACES = st.builds(
    Place,
    st.integers(-253402300799, 62135596800),
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=64),
)


@given(PLACES, st.text())
def test_a_cursor_comes_back_as_the_place_it_was_made_of(place: Place, query: str) -> None:
    """A cursor that was given out is taken back."""
    assert decode_cursor(encode_cursor(place, query), query) == place


@given(st.text())
def test_a_cursor_of_another_query_is_refused(query: str) -> None:
    """A cursor belongs to one query."""
    with pytest.raises(ValueError, match="not a cursor of this query"):
        decode_cursor(encode_cursor(PLACE, query), query + "x")


def test_a_cursor_that_was_cut_changed_or_respelled_is_refused() -> None:
    """A cursor with one character missing, added or changed is refused, whichever it is."""
    cursor = encode_cursor(PLACE, "query")
    crooked = {cursor[:end] for end in range(len(cursor))}
    crooked |= {cursor[:at] + other + cursor[at + 1 :] for at in range(len(cursor)) for other in "Aaz9_-=."}
    crooked |= {cursor + "=", cursor + "A", " " + cursor, cursor + "\n", cursor[:4] + "." + cursor[4:]}
    for text in crooked - {cursor}:
        with pytest.raises(ValueError, match="not"):
            decode_cursor(text, "query")


@given(st.text(max_size=256))
def test_a_forged_cursor_is_refused(text: str) -> None:
    """Text that was never given out is refused, and not with another error."""
    with pytest.raises(ValueError, match="not"):
        decode_cursor(text, "query")
