"""Limits on the text of JSON, compared with what a parser that hides nothing finds."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import json_text
from schemas.job_event import MAX_DEPTH
from tests.support.event_strategies import SIXTY_FOUR_BITS, depth_of, has_large

BOUNDS = [2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**18, 10**19, 10**20]
INTEGERS = st.integers() | st.sampled_from(BOUNDS) | st.sampled_from(BOUNDS).map(lambda bound: bound + 10**17)
TEXT = st.text(st.sampled_from('"\\[]{}0123456789,: é\n')) | st.text()
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXT, children, max_size=3),
)
DEPTHS = st.integers(0, MAX_DEPTH + 2)


def wrapped(value: Any, levels: int, name: str) -> Any:
    """Return the value in so many arrays and objects in turn, with something beside it in each."""
    for level in range(levels):
        value = [0, value, []] if level % 2 else {name: value, "b": {}}
    return value


@given(JSON, DEPTHS, TEXT, st.booleans(), st.sampled_from([None, 2]))
def test_the_text_tells_what_the_value_holds(
    value: Any,
    levels: int,
    name: str,
    is_ascii: bool,  # noqa: FBT001
    indent: int | None,
) -> None:
    """Depth and large integers are found in the text exactly where they are in the value, however it is written."""
    value = wrapped(value, levels, name)
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode()
    is_deep, is_large = depth_of(value) > MAX_DEPTH, has_large(value)
    assert json_text.is_too_deep(text) == is_deep
    assert json_text.has_large_integer(text) == is_large
    assert not json_text.is_plain(text) or not (is_deep or is_large)


@pytest.mark.parametrize("number", [sign * bound + step for bound in BOUNDS for sign in (1, -1) for step in (-1, 0, 1)])
@pytest.mark.parametrize("frame", ["%d", "[%d]", '{"a":%d}', '[1,%d,"x"]', "[ %d ]", "[\n%d\t,\r0]", '["",%d]'])
def test_a_large_integer_is_found_wherever_it_stands(number: int, frame: str) -> None:
    """The bounds of 64 bits hold to the digit, between whatever signs the number stands."""
    assert json_text.has_large_integer((frame % number).encode()) == (number not in SIXTY_FOUR_BITS)


@pytest.mark.parametrize("text", ["%d.0", "0.%d", "%de2", "%dE+2", "1e%d", "1.5e-%d", '"%d"', '"[%d,"', r'"\"%d,"'])
def test_what_is_no_integer_is_not_found(text: str) -> None:
    """Fractions, exponents and digits in strings are no integers, however many digits they have."""
    number = 10**20 if "1e" not in text and "e-" not in text else 10**19
    assert not json_text.has_large_integer(f"[1,{text % number},1]".encode())


def test_thousands_of_digits_are_large() -> None:
    """An integer that Python itself would refuse to read is large."""
    assert json_text.has_large_integer(b"9" * 100_000)
    assert json_text.has_large_integer(b"-" + b"9" * 100_000)


def test_what_a_parser_hides_is_found() -> None:
    """Of a member given twice a parser shows one; the text still has both."""
    text = b'{"a": ' + b"[" * 40 + b"]" * 40 + b', "a": 18446744073709551616, "a": 1}'
    assert orjson.loads(text) == {"a": 1}
    assert not json_text.is_plain(text)
    assert json_text.is_too_deep(text)
    assert json_text.has_large_integer(text)
