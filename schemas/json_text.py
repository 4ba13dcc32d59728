"""Limits that hold for the text of a JSON document, whatever the parser makes of it.

A parser hides some of what was written: an integer beyond 64 bits arrives as a float, and of a member given twice only
one is left. So these look at the text, which must be valid JSON.

What is cheap is looked at first, and settles the question for nearly every event. The rest is one regular expression
for each limit, run by the engine that runs the schema's patterns: its time is linear in the text whatever stands in it.
"""

from collections.abc import Callable
from typing import Final

import jsonschema_rs

from schemas.job_event import MAX_DEPTH

_SPACE: Final = r" \t\n\r"
_STRING: Final = r'"([^"\\]|\\[\s\S])*"'
_LARGEST: Final = 2**64 - 1  # unsigned
_SMALLEST: Final = -(2**63)  # signed
# No integer of fewer digits is beyond 64 bits.
_LONG: Final = b"0" * len(str(-_SMALLEST))
_ALIKE: Final = bytes.maketrans(b"123456789{", b"000000000[")


def is_plain(text: bytes) -> bool:
    """Tell whether the text has so few brackets and so short numbers that it is within every limit."""
    alike = text.translate(_ALIKE)
    return alike.find(_LONG) < 0 and alike.count(b"[") <= MAX_DEPTH


def is_too_deep(text: bytes) -> bool:
    """Tell whether objects and arrays are nested deeper than MAX_DEPTH; the outermost counts as 1."""
    return not _is_shallow(text.decode())


def has_large_integer(text: bytes) -> bool:
    """Tell whether an integer is larger than 64 bits, signed or unsigned."""
    return _has_large_integer(text.decode())


def _matcher(pattern: str) -> Callable[[str], bool]:
    return jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions()).is_valid


def _at_most(depth: int) -> str:
    """Return a pattern of JSON that is nested at most so deep."""
    flat = rf'[^"\[\]{{}}]|{_STRING}'
    return rf"({flat}|[\[{{]{_at_most(depth - 1)}[\]}}])*" if depth else f"({flat})*"


def _above(limit: int) -> str:
    """Return a pattern of integers that are larger: the first digit to differ is larger, or there are more digits."""
    digits = str(limit)
    larger = [
        f"{digits[:at]}[{int(digit) + 1}-9][0-9]{{{len(digits) - at - 1}}}"
        for at, digit in enumerate(digits)
        if digit != "9"
    ]
    return "|".join([*larger, f"[1-9][0-9]{{{len(digits)},}}"])


_is_shallow: Final = _matcher(f"^{_at_most(MAX_DEPTH)}$")
_has_large_integer: Final = _matcher(
    rf'^(([^"]|{_STRING})*[\[:,{_SPACE}])?({_above(_LARGEST)}|-({_above(-_SMALLEST)}))([\]}},{_SPACE}]|$)'
)
