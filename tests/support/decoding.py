"""A good event, and ways to change one thing about it."""

from collections.abc import Callable
from typing import Any, Final

import orjson
import pytest

from schemas.decode import Headers, Reason, RefusedEventError, decode, decode_any, decode_usual
from schemas.job_event import EXAMPLE, VALIDATOR, JobEvent

# 2020-10-01T01:00:00.500Z: half a second after the time of the good event.
TIMESTAMP: Final = 1_601_514_000_500
NO_TIMESTAMP: Final = -1
GOOD: Final = orjson.dumps(EXAMPLE)
Event = dict[str, Any]

_SAID_BY_THE_SCHEMA: Final = frozenset(
    {Reason.NOT_AN_EVENT, Reason.UNKNOWN_SPECVERSION, Reason.UNKNOWN_TYPE, Reason.INVALID_FIELD}
)


def good_event() -> Event:
    """Return a copy of the good event: a finished one of attempt 1, with two outputs."""
    event: Event = orjson.loads(GOOD)
    return event


def with_attributes(**attributes: Any) -> bytes:
    """Return the good event with these attributes."""
    return orjson.dumps(good_event() | attributes)


def with_data(**members: Any) -> bytes:
    """Return the good event with these members of its data."""
    event = good_event()
    return orjson.dumps(event | {"data": event["data"] | members})


def without(*path: str) -> bytes:
    """Return the good event without one member."""
    event = good_event()
    holder = event
    for name in path[:-1]:
        holder = holder[name]
    del holder[path[-1]]
    return orjson.dumps(event)


def with_json(name: str, text: bytes) -> bytes:
    """Return the good event with one more member whose JSON text is given, which Python could not write."""
    return GOOD[:-1] + b',"' + name.encode() + b'":' + text + b"}"


def outcome(decode: Callable[[], JobEvent | None]) -> JobEvent | tuple[Reason, str] | None:
    """Return what decoding gives, or why it is refused, as code and as sentence."""
    try:
        return decode()
    except RefusedEventError as refusal:
        return refusal.reason, str(refusal)


def is_usual(value: bytes, timestamp: int = TIMESTAMP) -> bool:
    """Tell whether a value is decoded as a usual event, which then must give what the schema gives."""
    usual = outcome(lambda: decode_usual(value, timestamp))
    assert usual is None or usual == outcome(lambda: decode_any(value, (), timestamp))
    return usual is not None


def accepted(value: bytes | None, headers: Headers = (), timestamp: int = TIMESTAMP) -> JobEvent:
    """Return the event of a record that must be understood, and so must be valid by the schema."""
    event = decode(value, headers, timestamp)
    assert value
    is_usual(value, timestamp)
    assert headers or VALIDATOR.is_valid(orjson.loads(value or b""))
    return event


def refused(value: bytes | None, headers: Headers = (), timestamp: int = TIMESTAMP) -> Reason:
    """Return the reason for which a record must be refused; one that a schema can give, the schema must give too."""
    with pytest.raises(RefusedEventError) as caught:
        decode(value, headers, timestamp)
    is_usual(value or b"", timestamp)
    reason = caught.value.reason
    if reason in _SAID_BY_THE_SCHEMA and not headers:
        event = orjson.loads(value or b"")
        assert (isinstance(event, dict) and event.get("data_base64")) or not VALIDATOR.is_valid(event)
    return reason
