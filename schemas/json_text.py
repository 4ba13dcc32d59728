"""Limits that hold for the text of a JSON document, whatever the parser makes of it.

A parser hides some of what was written: an integer beyond 64 bits arrives as a float, and of a member given twice only
one is left. So these look at the text, in time linear in its length and without recursion. It must be valid JSON.
"""

import re
from itertools import accumulate
from typing import Final

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
# Nothing but digits, so no fraction and no exponent; with fewer of them it fits.
_LONG_INTEGER: Final = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}(?![0-9.eE])")
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SIXTY_FOUR_BITS: Final = range(-(2**63), 2**64)  # signed or unsigned
_MAX_DIGITS: Final = len(str(_SIXTY_FOUR_BITS.stop))


def depth(text: bytes) -> int:
    """Return how deep objects and arrays are nested; the outermost counts as 1."""
    return max(accumulate((_STEPS.get(byte, 0) for byte in _STRING.sub(b"", text)), initial=0))


def has_large_integer(text: bytes) -> bool:
    """Tell whether an integer is larger than 64 bits."""
    # Counting digits first, for Python refuses to turn thousands of them into a number.
    return any(
        len(digits.lstrip(b"-")) > _MAX_DIGITS or int(digits) not in _SIXTY_FOUR_BITS
        for digits in _LONG_INTEGER.findall(_STRING.sub(b"", text))
    )
