"""Records by the Kafka binding of CloudEvents: structured and binary mode, and headers of every kind."""

import orjson
import pytest

from schemas.decode import Headers, Reason
from tests.support.decoding import (
    GOOD,
    NO_TIMESTAMP,
    TIMESTAMP,
    accepted,
    good_event,
    refused,
    with_data,
    with_json,
)

EVENT = good_event()
DATA = orjson.dumps(EVENT["data"])
BINARY = tuple((f"ce_{name}", EVENT[name].encode()) for name in ("specversion", "id", "source", "type", "time"))
QUOTED = tuple((name, b'"' + content + b'"') for name, content in BINARY)
STRUCTURED = ("content-type", b"application/cloudevents+json")


def binary_without(header: str) -> Headers:
    """Return the headers of an event in binary mode without one of them."""
    return [(name, content) for name, content in BINARY if name != header]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="none"),
        pytest.param([STRUCTURED], id="content type"),
        pytest.param([("content-type", b"application/cloudevents+json; charset=UTF-8")], id="parameters"),
        pytest.param([("content-type", b"Application/CloudEvents+JSON")], id="other case"),
        pytest.param([("content-type", b"application/json")], id="plain JSON"),
        pytest.param([("content-type", None)], id="null content type"),
        pytest.param([("content-type", b"\xff")], id="content type that is not UTF-8"),
        pytest.param([STRUCTURED, *BINARY], id="structured with ce_ headers"),
        pytest.param([("content-type", b"Application/CloudEvents+JSON"), *BINARY], id="the same in other case"),
        pytest.param([("Content-Type", b"application/cloudevents+json"), *BINARY], id="a name with capitals"),
        pytest.param([("CONTENT-TYPE", b"APPLICATION/CLOUDEVENTS+JSON"), *BINARY], id="all capitals"),
        pytest.param([("content-type", b'"application/cloudevents+json"'), *BINARY], id="quotes"),
        pytest.param([("Content-Type", b'"application/cloudevents+json; charset=utf-8"'), *BINARY], id="all of these"),
        pytest.param([("content-type", b" application/cloudevents+json"), *BINARY], id="a space before"),
        pytest.param([("content-type", b"application/cloudevents"), *BINARY], id="no format"),
        pytest.param([("content-type", b"x"), ("Content-Type", STRUCTURED[1]), *BINARY], id="twice, the last counts"),
        pytest.param([STRUCTURED, ("ce_id", b"other"), ("ce_specversion", b"0.3")], id="ce_ headers that contradict"),
        pytest.param([("ce_specversion", None)], id="null ce_specversion"),
        pytest.param([("ce_id", b"\xff")], id="a lone ce_ header"),
        pytest.param([("traceparent", b"\xff\xfe"), ("x", None), ("x", b""), ("", b"")], id="strange"),
        pytest.param([("h", b"x")] * 10_000, id="many"),
    ],
)
def test_the_value_is_the_event_in_structured_mode(headers: Headers) -> None:
    """Whatever headers stand beside it, a whole event in the value is read as it is."""
    assert accepted(GOOD, headers) == accepted(GOOD)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(BINARY, id="attributes"),
        pytest.param(tuple(reversed(BINARY)), id="in another order"),
        pytest.param([*BINARY, ("content-type", b"application/json")], id="content type"),
        pytest.param([*BINARY, ("content-type", b"application/json; charset=utf-8")], id="parameters"),
        pytest.param([*BINARY, ("content-type", None)], id="null content type"),
        pytest.param([*BINARY, ("ce_datacontenttype", b"application/json")], id="data content type"),
        pytest.param([*BINARY, ("ce_traceparent", b"\xff"), ("ce_", b""), ("ce_data", b"{}")], id="extensions"),
        pytest.param([*BINARY, ("x", None), ("y", b"\xff")], id="strange"),
        pytest.param([("ce_id", b"first"), ("ce_id", None), *BINARY], id="given twice, the last counts"),
        pytest.param([("CE_ID", b"first"), ("Ce_Id", None), *BINARY], id="twice in other case, the last counts"),
        pytest.param([(name.upper(), content) for name, content in BINARY], id="capitals"),
        pytest.param([(name.title(), content) for name, content in BINARY], id="first letters"),
        pytest.param([*BINARY, ("Content-Type", b"application/json")], id="content type with capitals"),
        pytest.param([*BINARY, ("Content-Type", b'"application/json"')], id="content type in quotes"),
        pytest.param(QUOTED, id="quotes"),
        pytest.param([(name.upper(), content) for name, content in QUOTED], id="quotes and capitals"),
        pytest.param([*BINARY, ("ce_datacontenttype", b"")], id="empty data content type"),
        pytest.param([*BINARY, ("ce_data_base64", b"e30="), ("ce_data", b"")], id="no attributes"),
    ],
)
def test_headers_are_the_attributes_in_binary_mode(headers: Headers) -> None:
    """An event in binary mode is the same event."""
    assert accepted(DATA, headers) == accepted(GOOD)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        pytest.param(binary_without("ce_id"), Reason.INVALID_FIELD, id="no id"),
        pytest.param(binary_without("ce_source"), Reason.INVALID_FIELD, id="no source"),
        pytest.param(binary_without("ce_type"), Reason.INVALID_FIELD, id="no type"),
        pytest.param([*BINARY, ("ce_source", None)], Reason.INVALID_FIELD, id="null source"),
        pytest.param([*BINARY, ("ce_id", b"")], Reason.INVALID_FIELD, id="empty id"),
        pytest.param([*BINARY, ("ce_id", b"a\nb")], Reason.INVALID_FIELD, id="line break in the id"),
        pytest.param([*BINARY, ("ce_source", b"\xff\xfe")], Reason.INVALID_HEADER, id="not UTF-8"),
        pytest.param([*BINARY, ("ce_source", b"\xed\xa0\x80")], Reason.INVALID_HEADER, id="surrogate"),
        pytest.param([*BINARY, ("ce_type", b"other")], Reason.UNKNOWN_TYPE, id="other type"),
        pytest.param([*BINARY, ("ce_specversion", b"0.3")], Reason.UNKNOWN_SPECVERSION, id="other version"),
        pytest.param([*BINARY, ("ce_specversion", b"")], Reason.UNKNOWN_SPECVERSION, id="empty version"),
        pytest.param([*BINARY, ("ce_time", b"yesterday")], Reason.INVALID_TIME, id="no time"),
        pytest.param([*BINARY, ("ce_time", b"2020-10-03T01:00:00Z")], Reason.TIME_AHEAD, id="ahead"),
        pytest.param([*BINARY, STRUCTURED], Reason.NOT_AN_EVENT, id="data in structured mode"),
        pytest.param([*BINARY, ("CE_ID", b"")], Reason.INVALID_FIELD, id="empty in other case, the last counts"),
        pytest.param([*BINARY, ("ce_id", b'""')], Reason.INVALID_FIELD, id="empty quotes"),
        pytest.param([*BINARY, ("ce_id", b'"x" ')], Reason.INVALID_FIELD, id="a space behind the quotes"),
        pytest.param([*BINARY, ("ce_id", b'" x"')], Reason.INVALID_FIELD, id="a padded id in quotes"),
        pytest.param([*BINARY, ("ce_id", b'"a\\nb"')], Reason.INVALID_FIELD, id="line break in quotes"),
        pytest.param([*BINARY, ("ce_specversion", b'"0.3"')], Reason.UNKNOWN_SPECVERSION, id="version in quotes"),
        pytest.param([*BINARY, ("ce_type", b'"other"')], Reason.UNKNOWN_TYPE, id="type in quotes"),
        pytest.param([*BINARY, ("ce_time", b'"yesterday"')], Reason.INVALID_TIME, id="no time in quotes"),
        pytest.param([*BINARY, ("CE_SOURCE", b"\xff\xfe")], Reason.INVALID_HEADER, id="not UTF-8 in other case"),
    ],
)
def test_wrong_headers_are_refused_in_binary_mode(headers: Headers, reason: Reason) -> None:
    """Attributes in headers are held to the same rules as those in the value."""
    assert refused(DATA, headers) is reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(None, Reason.EMPTY_VALUE, id="tombstone"),
        pytest.param(b"", Reason.EMPTY_VALUE, id="empty"),
        pytest.param(b"\0", Reason.NOT_JSON, id="not JSON"),
        pytest.param(b"null", Reason.INVALID_FIELD, id="null"),
        pytest.param(b"{}", Reason.INVALID_FIELD, id="empty object"),
        pytest.param(GOOD, Reason.INVALID_FIELD, id="a whole event"),
        pytest.param(b" " * (256 * 1024 + 1), Reason.TOO_LARGE, id="too large"),
        pytest.param(DATA[:-1] + b',"x":18446744073709551616}', Reason.NUMBER_TOO_LARGE, id="large integer"),
        pytest.param(DATA[:-1] + b',"x":' + b"[" * 32 + b"]" * 32 + b"}", Reason.TOO_DEEP, id="depth 33"),
    ],
)
def test_a_wrong_value_is_refused_in_binary_mode(value: bytes | None, reason: Reason) -> None:
    """The data are held to the same limits as a whole event."""
    assert refused(value, BINARY) is reason


def test_a_time_may_be_missing_in_binary_mode() -> None:
    """Without `ce_time`, or with a null or empty one, the record's timestamp counts."""
    for headers in (binary_without("ce_time"), *([*BINARY, ("ce_time", empty)] for empty in (None, b"", b'""'))):
        assert accepted(DATA, headers).time == "2020-10-01T01:00:00.500000"
        assert refused(DATA, headers, NO_TIMESTAMP) is Reason.NO_TIME


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'"a"', "a"),
        (b'"a\\"b\\\\c"', 'a"b\\c'),
        ('"gr\u00fc\u00dfe"'.encode(), "gr\u00fc\u00dfe"),
        (b'"gr\\u00fc\\u00dfe"', "gr\u00fc\u00dfe"),
        (b'""a""', '""a""'),
        (b'"', '"'),
        (b'"a', '"a'),
        (b'a"', 'a"'),
        (b'"a"b"', '"a"b"'),
        (b'"C:\\worker"', '"C:\\worker"'),
        (b"'a'", "'a'"),
    ],
)
def test_quotes_around_a_header_are_taken_off(content: bytes, text: str) -> None:
    """An attribute written as a JSON string is that string; other quotes are part of it, as they always were."""
    assert accepted(DATA, [*BINARY, ("ce_id", content)]).id == text


def test_data_in_binary_mode_may_have_empty_members() -> None:
    """What counts as not given does so in both modes."""
    data = orjson.dumps(EVENT["data"] | {"message": "", "algologURL": None, "attempt": 1.0})
    assert accepted(data, BINARY) == accepted(GOOD)
    assert accepted(orjson.dumps(EVENT["data"] | {"error": "x"}), BINARY).details["outcome"] == "failed"


def test_a_batch_of_events_is_refused() -> None:
    """The batch format of CloudEvents is not for Kafka."""
    headers = [("content-type", b"application/cloudevents-batch+json")]
    assert refused(b"[" + GOOD + b"]", headers) is Reason.NOT_AN_EVENT


def test_of_a_member_given_twice_the_last_counts() -> None:
    """A member that is given twice counts as the last one says, by itself and in the limits."""
    assert accepted(with_json("id", b'"other"')).id == "other"
    assert refused(with_json("id", b"1")) is Reason.INVALID_FIELD


def test_an_event_is_the_same_whatever_carries_it() -> None:
    """Mode and timestamp of the record are not part of the event, so that duplicates are recognised."""
    for value, headers in ((GOOD, ()), (DATA, BINARY), (with_data(owner="0X1111"), [STRUCTURED])):
        for timestamp in (TIMESTAMP, TIMESTAMP + 1, NO_TIMESTAMP):
            assert accepted(value, headers, timestamp) == accepted(GOOD)
