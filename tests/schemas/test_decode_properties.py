"""Laws of decoding, for records of any content."""

from collections.abc import Mapping
from typing import Any

import orjson
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.decode import Headers, RefusedEventError, decode
from schemas.event_time import SORTABLE_CHARACTERS
from schemas.job_event import DETAILS, FINISHED_DETAILS, JobEvent
from schemas.lifecycle import FINISHED
from tests.support.decoding import GOOD, NO_TIMESTAMP, TIMESTAMP
from tests.support.event_strategies import ATTRIBUTES, JSON, TEXT, changed_events

# What a register in Redis separates its parts with, and what a digest separates an identity's with.
SEPARATORS = ("\t", "\0")
MANY = 4 * settings().max_examples

TIMESTAMPS = st.sampled_from([NO_TIMESTAMP, 0, TIMESTAMP]) | st.integers(-(2**63), 2**63 - 1)
HEADER_NAMES = st.sampled_from(["content-type", *(f"ce_{name}" for name in ATTRIBUTES)]) | TEXT
HEADER_VALUES = (
    st.none() | st.binary() | st.sampled_from([b"1.0", b"application/cloudevents+json", b"operator.job.started"])
)
HEADERS = st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES))


def understood(value: bytes | None, headers: Headers = (), timestamp: int = TIMESTAMP) -> JobEvent | None:
    """Return the event of a record, None when it is refused; any other error is a failure of the test."""
    try:
        return decode(value, headers, timestamp)
    except RefusedEventError:
        return None


def assert_well_formed(event: JobEvent | None) -> None:
    """Check what the fold, the keys in Redis and the views rely on, unless the record was refused."""
    if event is None:
        return
    identity, stage, time, source, event_id, details = event
    for text in (identity.owner, identity.agreement_id, identity.job_id, source, event_id):
        assert 0 < len(text) <= 256
        assert not any(separator in text for separator in SEPARATORS)
    assert identity.owner == identity.owner.lower()
    assert type(identity.attempt) is int
    assert 1 <= identity.attempt < 2**63
    assert len(time) == SORTABLE_CHARACTERS
    assert time.isascii()
    assert details.keys() <= (DETAILS.keys() | FINISHED_DETAILS.keys() if stage is FINISHED else DETAILS.keys())


@given(st.none() | st.binary() | JSON.map(orjson.dumps), HEADERS, TIMESTAMPS)
@settings(max_examples=MANY)
def test_any_record_is_understood_or_refused(value: bytes | None, headers: Headers, timestamp: int) -> None:
    """Whatever bytes, JSON, headers and timestamp a record has, no other error than a refusal comes out."""
    assert_well_formed(understood(value, headers, timestamp))


@given(changed_events(), HEADERS, TIMESTAMPS)
@settings(max_examples=MANY)
def test_any_change_of_an_event_is_understood_or_refused(
    changed: Mapping[str, Any], headers: Headers, timestamp: int
) -> None:
    """An event that is nearly right comes out well-formed or not at all."""
    assert_well_formed(understood(orjson.dumps(changed), headers, timestamp))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, len(GOOD) - 1), st.binary(max_size=4))
@settings(max_examples=MANY)
def test_any_damage_to_an_event_is_understood_or_refused(begin: int, length: int, other: bytes) -> None:
    """An event of which some bytes were replaced comes out well-formed or not at all."""
    assert_well_formed(understood(GOOD[:begin] + other + GOOD[begin + length :]))


@given(changed_events(), TIMESTAMPS)
@settings(max_examples=MANY)
def test_both_modes_give_the_same(changed: dict[str, Any], timestamp: int) -> None:
    """An event that both modes can carry is the same event, or refused, in both."""
    data = changed.pop("data", None)
    assume(changed.get("specversion") is not None and all(isinstance(value, str) for value in changed.values()))
    assume(not any(text[:1] == '"' for text in changed.values()))  # in headers, quotes may be the client's own
    headers = [(f"ce_{name}", text.encode()) for name, text in changed.items()]
    structured = understood(orjson.dumps({**changed, "data": data}), (), timestamp)
    assert understood(orjson.dumps(data), headers, timestamp) == structured


@given(changed_events(), TIMESTAMPS)
def test_decoding_twice_gives_the_same(changed: Mapping[str, Any], timestamp: int) -> None:
    """The event is a function of the record alone, so that a replay gives what the first run gave."""
    value = orjson.dumps(changed)
    assert understood(value, (), timestamp) == understood(value, (), timestamp)
