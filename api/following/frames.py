"""The blocks of a stream of Server-Sent Events (HTML Living Standard, section 9.2), as bytes."""

from typing import Any, Final

import orjson

RETRY_MILLISECONDS: Final = 2000
# How long a client waits before it connects again, and an end of the headers: proxies send on what they have.
RETRY: Final = b"retry: %d\n\n" % RETRY_MILLISECONDS


def event(name: str, data: Any) -> bytes:
    """Return a block without an id: JSON has no line breaks, so its data is one line, whatever was reported."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data))


def with_id(block: bytes, text: str) -> bytes:
    """Return a block with an id in front."""
    return b"id: %b\n%b" % (text.encode(), block)


def comment(text: str) -> bytes:
    """Return a block that is no event, and keeps the connection from looking idle."""
    return b": %b\n\n" % text.encode()


def bookmark(text: str, lag: int | None) -> bytes:
    """Return the block that moves the client's id and is no event, and the comment that says how fresh all is."""
    told = b"unknown" if lag is None else b"%d" % lag
    return b": Projection-Lag: %b\nid: %b\n\n" % (told, text.encode())
