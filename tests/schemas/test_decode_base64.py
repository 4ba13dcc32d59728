"""Data that a client was given as bytes, and so writes into `data_base64`."""

import re
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import orjson
import pytest

from schemas.decode import Reason, RefusedEventError, decode
from schemas.job_event import MAX_DEPTH, NOT_GIVEN
from tests.support.decoding import GOOD, TIMESTAMP, accepted, good_event, refused, with_attributes

DATA: dict[str, Any] = good_event()["data"]


def in_base64(content: bytes, **attributes: Any) -> bytes:
    """Return the good event with these data in base64, and no others unless the attributes say so."""
    event = good_event()
    del event["data"]
    return orjson.dumps(event | {"data_base64": b64encode(content).decode()} | attributes)


def refusal(value: bytes) -> tuple[Reason, str]:
    """Return why a record is refused, as code and as sentence."""
    with pytest.raises(RefusedEventError) as caught:
        decode(value, (), TIMESTAMP)
    return caught.value.reason, str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(orjson.dumps(DATA), id="compact"),
        pytest.param(orjson.dumps(DATA, option=orjson.OPT_INDENT_2), id="indented"),
        pytest.param(orjson.dumps(DATA) + b" ", id="padded once"),
        pytest.param(orjson.dumps(DATA) + b"  ", id="padded twice"),
        pytest.param(orjson.dumps(DATA | {"attempt": 1.0, "message": None, "colour": "red"}), id="empty and unknown"),
    ],
)
def test_data_in_base64_are_the_data(data: bytes) -> None:
    """The event is the same as one that carries its data as an object."""
    assert accepted(in_base64(data)) == accepted(GOOD)


@pytest.mark.parametrize("empty", NOT_GIVEN, ids=repr)
def test_the_other_way_may_be_empty(empty: Any) -> None:
    """A client that writes both members, one of them empty, gives the data once."""
    assert accepted(in_base64(orjson.dumps(DATA), data=empty)) == accepted(GOOD)
    assert accepted(with_attributes(data_base64=empty)) == accepted(GOOD)


@pytest.mark.parametrize("data", [DATA, {}, "text", 1, False], ids=repr)
def test_data_given_twice_are_refused(data: Any) -> None:
    """Nobody guesses which of two data is meant."""
    assert refusal(in_base64(orjson.dumps(DATA), data=data))[0] is Reason.INVALID_FIELD


def test_data_given_twice_are_told() -> None:
    """The message names the member that is too much."""
    assert refusal(in_base64(orjson.dumps(DATA), data=DATA))[1] == "data_base64: given beside data"


@pytest.mark.parametrize("empty", NOT_GIVEN, ids=repr)
@pytest.mark.parametrize("other", NOT_GIVEN, ids=repr)
def test_data_given_in_neither_way_are_missing(empty: Any, other: Any) -> None:
    """An event without data has no job, however it writes that."""
    assert refused(with_attributes(data=empty, data_base64=other)) is Reason.INVALID_FIELD


@pytest.mark.parametrize(
    "text",
    [
        "e30",
        "e30==",
        "=e30",
        "e3=0",
        "e30=e30=",
        "e30=\n",
        " e30=",
        "e 30=",
        "é30=",
        "{}",
        "====",
        urlsafe_b64encode(orjson.dumps(DATA | {"message": "ÿÿÿ>>>???"})).decode(),
        1,
        True,
        {},
        ["e30="],
    ],
)
def test_what_is_no_base64_is_refused(text: Any) -> None:
    """Base64 is that of RFC 4648 with its padding, and nothing between its characters."""
    reason, message = refusal(in_base64(b"", data_base64=text))
    assert reason is Reason.INVALID_FIELD
    assert message.startswith("data_base64: ")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"{", Reason.NOT_JSON, id="cut"),
        pytest.param(b"\0", Reason.NOT_JSON, id="NUL"),
        pytest.param(b"\xff", Reason.NOT_JSON, id="not UTF-8"),
        pytest.param(b"{}{}", Reason.NOT_JSON, id="two objects"),
        pytest.param(b"null", Reason.INVALID_FIELD, id="null"),
        pytest.param(b'""', Reason.INVALID_FIELD, id="empty string"),
        pytest.param(b"[]", Reason.INVALID_FIELD, id="array"),
        pytest.param(b"{}", Reason.INVALID_FIELD, id="empty object"),
        pytest.param(b64encode(orjson.dumps(DATA)), Reason.NOT_JSON, id="base64 twice"),
        pytest.param(GOOD, Reason.INVALID_FIELD, id="a whole event"),
        pytest.param(orjson.dumps(DATA | {"owner": "alice"}), Reason.INVALID_FIELD, id="owner"),
        pytest.param(orjson.dumps(DATA | {"outcome": "won"}), Reason.INVALID_FIELD, id="outcome"),
        pytest.param(
            b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"," + orjson.dumps(DATA)[1:], Reason.TOO_DEEP, id="depth"
        ),
        pytest.param(b'{"a":18446744073709551616,' + orjson.dumps(DATA)[1:], Reason.NUMBER_TOO_LARGE, id="large"),
    ],
)
def test_data_in_base64_are_held_to_the_same_rules(data: bytes, reason: Reason) -> None:
    """Base64 hides nothing: what is refused as an object is refused as bytes."""
    assert refused(in_base64(data)) is reason


def test_a_refusal_of_data_in_base64_quotes_nothing() -> None:
    """What is said of refused bytes names the member, and holds nothing of them."""
    reason, message = refusal(in_base64(orjson.dumps(DATA | {"algologURL": "ftp://SECRET"})))
    assert (reason, message) == (Reason.INVALID_FIELD, "data.algologURL: does not meet the schema's pattern")
    for data in (b'{"SECRET": SECRET}', b'"SECRET"'):
        assert not re.search("SECRET|U0VDUkVU", refusal(in_base64(data))[1])
