"""What a bucket keeps beside its jobs, as it is stored: understood, or a ValueError, since somebody has damaged it."""

import re
from typing import Final

from projector.fold.record import fingerprint_offset
from schemas.redis_layout import MOST_DIGITS

_PRINTABLE: Final = re.compile(rb"[ -~]+")


def incarnation_in(stored: bytes | None) -> str | None:
    """Return the stored incarnation of a bucket; None when the bucket is not there."""
    if stored is None:
        return None
    if not _PRINTABLE.fullmatch(stored):
        raise ValueError(f"{stored[:MOST_DIGITS]!r} is no incarnation")
    return stored.decode()


def fingerprint_in(stored: bytes | None) -> str:
    """Return a stored fingerprint; empty when there is none."""
    text = (stored or b"").decode()
    if text:
        fingerprint_offset(text)
    return text
