"""Laws of decoding, for records of any content."""

from collections.abc import Mapping
from typing import Any

import orjson
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schemas.decode import Headers, RefusedEventError, decode
from schemas.event_time import SORTABLE_CHARACTERS
from schemas.job_event import DETAILS, FINISHED_DETAILS, VALIDATOR, JobEvent
from schemas.lifecycle import FINISHED, STAGES
from tests.support.decoding import GOOD, NO_TIMESTAMP, TIMESTAMP, good_event

# What a register in Redis separates its parts with, and what a digest separates an identity's with.
SEPARATORS = ("\t", "\0")
MANY = 400

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers(-(2**63), 2**64 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXT, children, max_size=3),
    max_leaves=8,
)
ATTRIBUTES = ["specversion", "id", "source", "type", "time", "datacontenttype", "data", "extension"]
MEMBERS = ["owner", "agreementId", "jobId", "attempt", *DETAILS, *FINISHED_DETAILS, "extension"]
TYPES = st.sampled_from([stage.event_type for stage in STAGES])
TIMES = st.datetimes(timezones=st.timezones() | st.none()).map(lambda moment: moment.isoformat())
URLS = st.sampled_from(["http://a", "https://b/c?d=e", "HTTP://A", "http://u:p@a", "ftp://a", "http://a b"])
VALUES = (
    JSON | TYPES | TIMES | URLS | st.lists(URLS) | st.sampled_from(["0xAb", "1.0", 1, 2**63, "failed", " a", "a\n"])
)
TIMESTAMPS = st.sampled_from([NO_TIMESTAMP, 0, TIMESTAMP]) | st.integers(-(2**63), 2**63 - 1)
HEADER_NAMES = st.sampled_from(["content-type", *(f"ce_{name}" for name in ATTRIBUTES)]) | TEXT
HEADER_VALUES = (
    st.none() | st.binary() | st.sampled_from([b"1.0", b"application/cloudevents+json", b"operator.job.started"])
)
HEADERS = st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES))


@st.composite
def changed_events(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the good event with one or two of its attributes and members replaced or removed."""
    event = good_event()
    places = [(event["data"], MEMBERS), (event, ATTRIBUTES)]
    for _ in range(draw(st.integers(1, 2))):
        holder, names = draw(st.sampled_from(places))
        name = draw(st.sampled_from(names))
        if draw(st.integers(0, 4)):
            holder[name] = draw(VALUES)
        else:
            holder.pop(name, None)
    return event


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


@given(changed_events())
@settings(max_examples=MANY)
def test_what_is_understood_is_valid_by_the_published_schema(changed: Mapping[str, Any]) -> None:
    """Nobody who checks against the schema is told that an accepted event is wrong; few rules are beyond it."""
    event = understood(orjson.dumps(changed), timestamp=NO_TIMESTAMP)
    assert event is None or VALIDATOR.is_valid(changed)


@given(changed_events(), TIMESTAMPS)
@settings(max_examples=MANY)
def test_both_modes_give_the_same(changed: dict[str, Any], timestamp: int) -> None:
    """An event that both modes can carry is the same event, or refused, in both."""
    data = changed.pop("data", None)
    assume(changed.get("specversion") is not None and all(isinstance(value, str) for value in changed.values()))
    headers = [(f"ce_{name}", text.encode()) for name, text in changed.items()]
    structured = understood(orjson.dumps({**changed, "data": data}), (), timestamp)
    assert understood(orjson.dumps(data), headers, timestamp) == structured


@given(changed_events(), TIMESTAMPS)
def test_decoding_twice_gives_the_same(changed: Mapping[str, Any], timestamp: int) -> None:
    """The event is a function of the record alone, so that a replay gives what the first run gave."""
    value = orjson.dumps(changed)
    assert understood(value, (), timestamp) == understood(value, (), timestamp)
