"""What the published schema accepts and what the decoder accepts is one set, seen from both sides.

A JSON Schema looks at a value, so some rules are beyond it. These are all of them:

- the size of the text, how deep it is nested, and integers beyond 64 bits, wherever they stand;
- of a member given twice, what the parser has hidden;
- the calendar: days that a month does not have, leap seconds elsewhere than at 23:59 UTC, years outside 1 to 9999;
- a time more than a day after the record's timestamp, and no time where the record has no timestamp;
- what stands in `data_base64`.
"""

import json
from base64 import b64encode
from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.decode import Reason, RefusedEventError, decode
from schemas.documents import asyncapi
from schemas.job_event import MAX_DEPTH, MAX_RECORD_BYTES, SCHEMA, VALIDATOR, first_fault
from tests.support.decoding import GOOD, NO_TIMESTAMP, TIMESTAMP, good_event, refused, with_json
from tests.support.event_strategies import changed_events, depth_of, has_large

# As somebody else's validator reads it: from the document that is published, written as JSON and read again.
_DOCUMENT = json.loads(json.dumps(asyncapi()))
PUBLISHED = jsonschema_rs.validator_for(
    _DOCUMENT["components"]["schemas"]["JobEvent"] | {"$schema": SCHEMA["$schema"]},
    pattern_options=jsonschema_rs.RegexOptions(),
)


def verdict(value: bytes, timestamp: int = TIMESTAMP) -> Reason | None:
    """Return why the decoder refuses a record, None when it accepts it."""
    try:
        decode(value, (), timestamp)
    except RefusedEventError as refusal:
        return refusal.reason
    return None


def is_in_the_calendar(text: str) -> bool:
    """Tell whether a text that is written like a time is one, worked out by the parts that are written."""
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    if not (year >= 1 and 1 <= day <= monthrange(year, month)[1]):
        return False
    zone = text[-1] if text[-1] in "Zz" else text[-6:]
    offset = 0 if zone in "Zz" else int(zone[0] + "1") * (int(zone[1:3]) * 60 + int(zone[4:6]))
    of_the_day = int(text[11:13]) * 60 + int(text[14:16]) - offset
    is_leap = text[17:19] == "60"
    if is_leap and of_the_day % 1440 != 1439:
        return False
    first, last = (year, month, day) == (1, 1, 1), (year, month, day) == (9999, 12, 31)
    return not (first and of_the_day < 0) and not (last and of_the_day + is_leap > 1439)


def is_beyond_a_schema(event: Mapping[str, Any], timestamp: int) -> set[Reason]:
    """Return the reasons that the decoder has against an event that meets the schema."""
    text = event.get("time")
    if event.get("data_base64"):
        return set(Reason)
    reasons = set()
    if depth_of(event) > MAX_DEPTH:
        reasons.add(Reason.TOO_DEEP)
    if has_large(event):
        reasons.add(Reason.NUMBER_TOO_LARGE)
    if text and not is_in_the_calendar(text):
        reasons.add(Reason.INVALID_TIME)
    if text and not reasons and timestamp >= 0 and _seconds(text) > timestamp / 1000 + 86_400:
        reasons.add(Reason.TIME_AHEAD)
    if not text and timestamp < 0:
        reasons.add(Reason.NO_TIME)
    return reasons


def _seconds(text: str) -> float:
    plain = text.upper().replace(":60", ":59")
    return (datetime.fromisoformat(plain) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


VALUES_NEARLY_RIGHT: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, "", [], {}, 0, False, " ", [None], [""], 1, 1.0, 2**63 - 1, 2**63, 2**64, 1e300, "1"),
        *("failed", "http://a", "http://:80/", "http://[::1]/", ["http://a"], ["http://a", "x"], "x" * 1001),
        *("2020-10-01T01:00:00Z", "2020-10-02T01:00:00Z", "2020-10-02T02:00:00Z", "2021-02-29T01:00:00Z"),
        *("2016-12-31T23:59:60Z", "2016-12-31T23:58:60Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01"),
        *("e30=", b64encode(orjson.dumps(good_event()["data"])).decode()),
    ]
)
MEMBERS = ["owner", "agreementId", "jobId", *SCHEMA["properties"]["data"]["properties"], "outcome", "error", "extra"]


@st.composite
def nearly_right_events(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an event of which some members are what clients write, or nearly so."""
    event = draw(changed_events()) if draw(st.booleans()) else good_event()
    event["type"] = draw(st.sampled_from(SCHEMA["properties"]["type"]["enum"]))
    names = st.sampled_from([*SCHEMA["properties"], "extra"])
    event |= draw(st.dictionaries(names, VALUES_NEARLY_RIGHT, max_size=2))
    if isinstance(data := event.get("data"), dict):
        event["data"] = data | draw(st.dictionaries(st.sampled_from(MEMBERS), VALUES_NEARLY_RIGHT, max_size=4))
    return event


@given(nearly_right_events(), st.sampled_from([TIMESTAMP, NO_TIMESTAMP]))
@settings(max_examples=10 * settings().max_examples)
def test_schema_and_decoder_accept_the_same(event: dict[str, Any], timestamp: int) -> None:
    """An event that is valid is accepted unless a rule beyond any schema is broken; one that is not is refused."""
    value = json.dumps(event).encode()  # which writes integers of any size
    reason = verdict(value, timestamp)
    if not PUBLISHED.is_valid(event):
        assert reason is not None
    elif expected := is_beyond_a_schema(event, timestamp):
        assert reason in expected or event.get("data_base64")
    else:
        assert reason is None


@given(nearly_right_events())
@settings(max_examples=3 * settings().max_examples)
def test_the_first_fault_is_that_of_the_schema(event: dict[str, Any]) -> None:
    """Where an event breaks the schema is found as the whole event says it, however little of it is looked at."""
    faults = {".".join(map(str, error.instance_path)) for error in PUBLISHED.iter_errors(event)}
    if not faults:
        with pytest.raises(ValueError, match="valid"):
            first_fault(event)
        return
    path, fault = first_fault(event)
    if fault == "missing":
        path = path.rpartition(".")[0]
    assert ("data" if fault == "given beside data" else path) in faults


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(with_json("extra", b'"' + b"x" * MAX_RECORD_BYTES + b'"'), Reason.TOO_LARGE, id="size"),
        pytest.param(with_json("extra", b"[" * 40 + b"]" * 40), Reason.TOO_DEEP, id="depth"),
        pytest.param(with_json("extra", b"18446744073709551616"), Reason.NUMBER_TOO_LARGE, id="large integer"),
        pytest.param(b'{"id":' + b"[" * 40 + b"]" * 40 + b"," + GOOD[1:], Reason.TOO_DEEP, id="hidden depth"),
        pytest.param(b'{"id":18446744073709551616,' + GOOD[1:], Reason.NUMBER_TOO_LARGE, id="hidden large integer"),
        pytest.param(GOOD.replace(b"2020-10-01", b"2020-02-30"), Reason.INVALID_TIME, id="calendar"),
        pytest.param(GOOD.replace(b"2020-10-01", b"2020-10-03"), Reason.TIME_AHEAD, id="a day ahead"),
        pytest.param(with_json("data", b'null,"data_base64":"e30="'), Reason.INVALID_FIELD, id="base64 of no data"),
        pytest.param(with_json("data", b'null,"data_base64":"e30A"'), Reason.NOT_JSON, id="base64 of no JSON"),
    ],
)
def test_these_rules_are_beyond_a_schema(value: bytes, reason: Reason) -> None:
    """Each rule that is listed as beyond the schema is one: such an event is valid, and refused."""
    assert PUBLISHED.is_valid(orjson.loads(value))
    assert refused(value) is reason


def test_an_event_without_any_time_is_beyond_a_schema() -> None:
    """Whether a time may be missing depends on the record, which no schema sees."""
    event = good_event()
    del event["time"]
    assert PUBLISHED.is_valid(event)
    assert verdict(orjson.dumps(event), NO_TIMESTAMP) is Reason.NO_TIME


def test_the_schema_that_runs_is_the_one_that_is_published() -> None:
    """Both validators are made of the same schema, so what is shown here of one holds for the other."""
    assert _DOCUMENT["components"]["schemas"]["JobEvent"] == {
        name: part for name, part in json.loads(json.dumps(SCHEMA)).items() if name != "$schema"
    }
    assert VALIDATOR.is_valid(good_event())
