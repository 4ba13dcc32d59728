"""Limits on the text of JSON, compared with what a parser that hides nothing finds."""

import json
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from schemas import json_text

SIXTY_FOUR_BITS = range(-(2**63), 2**64)
INTEGERS = st.integers() | st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**18, 10**19, 10**20])
TEXT = st.text(st.sampled_from('"\\[]{}0123456789,: é\n')) | st.text()
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXT, children, max_size=3),
)


def depth_of(value: Any) -> int:
    """Return how deep a value is nested, by looking at the value."""
    children = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, children), default=0) if isinstance(value, dict | list) else 0


def has_large(value: Any) -> bool:
    """Tell whether an integer in the value is beyond 64 bits, by looking at the value."""
    if isinstance(value, dict | list):
        return any(map(has_large, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and not isinstance(value, bool) and value not in SIXTY_FOUR_BITS


@given(JSON, st.booleans(), st.sampled_from([None, 2]))
def test_the_text_tells_what_the_value_holds(value: Any, is_ascii: bool, indent: int | None) -> None:  # noqa: FBT001
    """Depth and large integers are found in the text exactly where they are in the value, however it is written."""
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode(errors="surrogatepass")
    assert json_text.depth(text) == depth_of(value)
    assert json_text.has_large_integer(text) == has_large(value)


def test_thousands_of_digits_are_large() -> None:
    """An integer that Python itself would refuse to read is large."""
    assert json_text.has_large_integer(b"9" * 100_000)


def test_what_a_parser_hides_is_found() -> None:
    """Of a member given twice a parser shows one; the text still has both."""
    text = b'{"a": [[1]], "a": 18446744073709551616, "a": 1}'
    assert orjson.loads(text) == {"a": 1}
    assert json_text.depth(text) == 3
    assert json_text.has_large_integer(text)
