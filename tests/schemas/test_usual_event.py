"""The usual event, which is decoded without the schema: what it means is what the schema says of it."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.decode import RefusedEventError, decode
from schemas.event_time import sortable_time, usual_time
from schemas.job_event import MAX_OUTPUTS, MAX_TEXT_CHARACTERS, MAX_URL_CHARACTERS
from schemas.lifecycle import OUTCOMES, STAGES
from schemas.usual_event import LARGEST_USUAL_BYTES, TRIED_IN_A_ROW, TRIED_ONE_IN, Row, usual_event
from tests.support.decoding import GOOD, NO_TIMESTAMP, TIMESTAMP, good_event, is_usual, with_attributes, with_data
from tests.support.event_strategies import changed_events

MANY = 10 * settings().max_examples
HEADERS = (("content-type", b"application/cloudevents+json"),)
# What JSON is made of where a number or another value may stand.
PIECES = st.sampled_from([*'[]{},:"-+.eE0123456789 \\\t\x7fé', "null", "true", '"a"', '"id":', '"data":{'])
SNIPPETS = st.lists(PIECES, max_size=6).map("".join)
LONGEST_URL = "http://a/" + "x" * (MAX_URL_CHARACTERS - 9)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(GOOD, id="the example"),
        pytest.param(json.dumps(good_event()).encode(), id="spaces between members"),
        pytest.param(orjson.dumps(good_event(), option=orjson.OPT_INDENT_2), id="indented"),
        pytest.param(with_attributes(traceparent="00-0af7-b7ad-01", tracestate="a=b", subject=None), id="extensions"),
        pytest.param(with_data(attempt=None, message="", configlogURL="", outputsURL=[]), id="members not given"),
        pytest.param(with_data(message="out of memory, twice", algologURL="https://b.c:80/d?e=f#g"), id="details"),
        pytest.param(with_data(outcome="failed", error="it broke"), id="an outcome"),
        pytest.param(with_data(error="it broke"), id="an error alone"),
        pytest.param(with_data(agreementId="plain", jobId="two words"), id="identifiers"),
        pytest.param(with_data(algologURL=LONGEST_URL), id="a long URL"),
        pytest.param(with_attributes(time=None), id="no time"),
        *(pytest.param(with_attributes(type=stage.event_type), id=stage.name) for stage in STAGES),
        *(pytest.param(with_data(outcome=outcome), id=outcome) for outcome in OUTCOMES),
    ],
)
def test_what_most_write_is_usual(value: bytes) -> None:
    """What our reporter and common clients write is decoded in one step, and to what the schema makes of it."""
    assert is_usual(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(GOOD.replace(b"gpu", "gpü".encode()), id="beyond ASCII"),
        pytest.param(GOOD.replace(b"gpu", b"gp\\u0075"), id="escapes"),
        pytest.param(GOOD.replace(b"gpu", b"gp\x7f"), id="DEL"),
        pytest.param(GOOD.replace(b"gpu", b"gp\t"), id="a tab in a text"),
        pytest.param(with_attributes(colour="red"), id="another attribute"),
        pytest.param(with_data(colour="red"), id="another member"),
        pytest.param(GOOD[:-1] + b',"id":[1]}', id="a member given twice"),
        pytest.param(GOOD[:-1] + b',"colour":18446744073709551616}', id="a large number"),
        pytest.param(GOOD + b" {}", id="more than an event"),
        pytest.param(with_data(attempt=0), id="attempt 0"),
        pytest.param(GOOD.replace(b'"attempt":1', b'"attempt":1.0'), id="attempt 1.0"),
        pytest.param(with_data(jobId=" 3333"), id="a space at an end"),
        pytest.param(with_data(outputsURL=[""]), id="an empty output"),
        pytest.param(with_data(outputsURL=["http://a"] * (MAX_OUTPUTS + 1)), id="too many outputs"),
        pytest.param(with_data(algologURL="http://u:p@a/"), id="a password"),
        pytest.param(with_data(algologURL="http://a/b c"), id="a space in a URL"),
        pytest.param(with_data(outputsURL=["http://a/b", "http://a/b c"]), id="a space in an output"),
        pytest.param(with_data(outputsURL=["http://a/b", "ftp://a/b"]), id="another scheme"),
        *(
            pytest.param(with_data(configlogURL=url), id=url)
            for url in ("http://", "http:///a", "https:///a/", "http://a?b")
        ),
        pytest.param(with_data(publishlogURL="http://a:12345/"), id="a long port"),
        *(pytest.param(with_data(owner=owner), id=owner) for owner in ("0x", "1111", "0x1g", "0x1\n", "")),
        pytest.param(with_data(algologURL=LONGEST_URL + "x"), id="a URL that is too long"),
        pytest.param(with_data(message="x" * (MAX_TEXT_CHARACTERS + 1)), id="a text that is too long"),
        pytest.param(with_data(outcome="won"), id="another outcome"),
        pytest.param(with_attributes(time="2020-10-01T03:00:00+02:00"), id="another zone"),
        pytest.param(with_attributes(time="2020-02-30T01:00:00Z"), id="no day of the calendar"),
        pytest.param(with_attributes(type="operator.job.paused"), id="another type"),
        pytest.param(with_attributes(specversion="0.3"), id="another version"),
        pytest.param(with_attributes(data_base64="e30="), id="data in base64"),
        pytest.param(with_data(outputsURL=["http://a/" + "x" * 1000] * (LARGEST_USUAL_BYTES // 1000)), id="large"),
    ],
)
def test_whatever_else_is_left_to_the_schema(value: bytes) -> None:
    """What is not usual, good or bad, is not judged without the schema."""
    assert not is_usual(value)


@given(changed_events(), st.sampled_from([TIMESTAMP, NO_TIMESTAMP, 0]), st.sampled_from([orjson.dumps, json.dumps]))
@settings(max_examples=MANY)
def test_any_changed_event_means_the_same(
    changed: dict[str, Any], timestamp: int, write: Callable[[Any], str | bytes]
) -> None:
    """An event that is nearly right, if it is taken for a usual one, gives what the schema makes of it."""
    text = write(changed)
    is_usual(text.encode() if isinstance(text, str) else text, timestamp)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 12), SNIPPETS, st.sampled_from([TIMESTAMP, NO_TIMESTAMP]))
@settings(max_examples=3 * MANY)
def test_any_changed_text_means_the_same(begin: int, length: int, other: str, timestamp: int) -> None:
    """Some characters of a usual event may be replaced: whatever is still a usual one means what the schema says."""
    is_usual(GOOD[:begin] + other.encode() + GOOD[begin + length :], timestamp)


@given(st.text("0123456789-+.eE", min_size=1, max_size=22))
@settings(max_examples=MANY)
def test_any_number_means_the_same(number: str) -> None:
    """Whatever is written for the attempt, the only number of a usual event, means what the schema says."""
    is_usual(GOOD.replace(b'"attempt":1', b'"attempt":' + number.encode()))


@given(st.text("0123456789", max_size=8), st.sampled_from(["", ".", ","]), st.sampled_from("ZztT+ "))
def test_a_usual_time_is_that_time(fraction: str, point: str, zone: str) -> None:
    """A time that is taken for a usual one is the same as in any event."""
    text = f"2020-10-01T01:00:0{fraction[:1]}{point}{fraction[1:]}{zone}"
    usual = usual_time(text)
    assert usual in (None, sortable_time(text) if usual else None)
    assert usual_time("2020-10-01t01:00:00Z") is None


def test_a_usual_event_of_another_day_is_refused_the_same_way() -> None:
    """A time that has not come yet, or none at all, is told as of any other event."""
    assert is_usual(with_attributes(time="2020-10-03T01:00:00Z"))
    assert is_usual(with_attributes(time=None), NO_TIMESTAMP)
    with pytest.raises(RefusedEventError):
        decode(with_attributes(time="2020-10-03T01:00:00Z"), HEADERS, TIMESTAMP)


def test_in_a_long_row_of_unusual_events_few_are_tried() -> None:
    """What is never usual is hardly taken for it, and the first usual one ends the row."""
    row = Row()
    tried = 0
    for _ in range(TRIED_IN_A_ROW + 10 * TRIED_ONE_IN):
        if row.is_to_try():
            tried += 1
            row.note(is_usual=False)
    assert tried <= TRIED_IN_A_ROW + 20
    while not row.is_to_try():
        pass
    row.note(is_usual=True)
    assert row.is_to_try()
    assert usual_event(GOOD) is not None
