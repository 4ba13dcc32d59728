"""Records whose bytes or JSON cannot be understood."""

import gzip
import random

import orjson
import pytest

from schemas.decode import Reason
from schemas.job_event import MAX_DEPTH, MAX_RECORD_BYTES, first_fault
from tests.support.decoding import GOOD, accepted, good_event, refused, with_attributes, with_data, with_json

UNKNOWN_DEPTH = MAX_DEPTH - 1  # how deep an unknown member of the event itself may nest


def nested(depth: int) -> bytes:
    """Return the JSON text of arrays in arrays."""
    return b"[" * depth + b"]" * depth


def padded(size_bytes: int) -> bytes:
    """Return the good event, filled to a size by an unknown member."""
    frame = with_json("filling", b'""')
    return frame[:-2] + b"x" * (size_bytes - len(frame)) + frame[-2:]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(None, Reason.EMPTY_VALUE, id="tombstone"),
        pytest.param(b"", Reason.EMPTY_VALUE, id="empty"),
        pytest.param(b" ", Reason.NOT_JSON, id="one space"),
        pytest.param(b"null", Reason.NOT_AN_EVENT, id="null"),
        pytest.param(b"[]", Reason.NOT_AN_EVENT, id="array"),
        pytest.param(b"[" + GOOD + b"]", Reason.NOT_AN_EVENT, id="array of events"),
        pytest.param(b'"x"', Reason.NOT_AN_EVENT, id="string"),
        pytest.param(b"1", Reason.NOT_AN_EVENT, id="number"),
        pytest.param(b"true", Reason.NOT_AN_EVENT, id="true"),
        pytest.param(b"{}", Reason.NOT_AN_EVENT, id="empty object"),
        pytest.param(b"{}{}", Reason.NOT_JSON, id="two objects"),
        pytest.param(GOOD + GOOD, Reason.NOT_JSON, id="two events"),
        pytest.param(GOOD + b"\0", Reason.NOT_JSON, id="trailing NUL"),
        pytest.param(b"\xef\xbb\xbf" + GOOD, Reason.NOT_JSON, id="byte order mark"),
        pytest.param(GOOD.decode().encode("utf-16"), Reason.NOT_JSON, id="UTF-16"),
        pytest.param(GOOD.replace(b"gpu", b"g\xfcu"), Reason.NOT_JSON, id="Latin-1"),
        pytest.param(GOOD.replace(b"gpu", b"g\xc0\xafu"), Reason.NOT_JSON, id="overlong UTF-8"),
        pytest.param(GOOD.replace(b"gpu", b"g\xed\xa0\x80u"), Reason.NOT_JSON, id="surrogate in UTF-8"),
        pytest.param(gzip.compress(GOOD, mtime=0), Reason.NOT_JSON, id="gzip"),
        pytest.param(b"\0\0\0\0\1" + GOOD, Reason.NOT_JSON, id="Avro magic"),
        pytest.param(padded(MAX_RECORD_BYTES + 1), Reason.TOO_LARGE, id="a byte too large"),
        pytest.param(GOOD[:-1] + b",}", Reason.NOT_JSON, id="trailing comma"),
        pytest.param(GOOD[:-1] + b"/* remark */}", Reason.NOT_JSON, id="comment"),
        pytest.param(GOOD.replace(b'"id"', b"'id'"), Reason.NOT_JSON, id="single quotes"),
        pytest.param(GOOD.replace(b"specversion", b"specVersion"), Reason.NOT_AN_EVENT, id="attribute in other case"),
        pytest.param(GOOD.replace(b'"owner"', b'"Owner"'), Reason.INVALID_FIELD, id="member in other case"),
        pytest.param(GOOD.replace(b'"jobId"', b'"jobID"'), Reason.INVALID_FIELD, id="jobID"),
    ],
)
def test_bytes_that_are_no_event_are_refused(value: bytes | None, reason: Reason) -> None:
    """What is no CloudEvent in JSON becomes a dead letter with a reason that says what it is instead."""
    assert refused(value) is reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(b"NaN", Reason.NOT_JSON, id="NaN"),
        pytest.param(b"Infinity", Reason.NOT_JSON, id="Infinity"),
        pytest.param(b"-Infinity", Reason.NOT_JSON, id="-Infinity"),
        pytest.param(b"-1e400", Reason.NOT_JSON, id="-1e400"),
        pytest.param(b"1e400", Reason.NOT_JSON, id="1e400"),
        pytest.param(rb'"\ud800"', Reason.NOT_JSON, id="lone surrogate"),
        pytest.param(b"18446744073709551616", Reason.NUMBER_TOO_LARGE, id="2^64"),
        pytest.param(b"-9223372036854775809", Reason.NUMBER_TOO_LARGE, id="-2^63 - 1"),
        pytest.param(b"[ 18446744073709551616 ]", Reason.NUMBER_TOO_LARGE, id="2^64 in an array"),
        pytest.param(b"9" * 300, Reason.NUMBER_TOO_LARGE, id="300 digits"),
        pytest.param(nested(UNKNOWN_DEPTH + 1), Reason.TOO_DEEP, id="depth 33"),
        pytest.param(nested(1000), Reason.TOO_DEEP, id="depth 1000"),
        pytest.param(nested(100_000), Reason.NOT_JSON, id="depth 100000"),
        pytest.param(nested(1000) + b',"extra":1', Reason.TOO_DEEP, id="depth 1000 in a member given twice"),
    ],
)
def test_json_beyond_the_limits_is_refused(text: bytes, reason: Reason) -> None:
    """Numbers, text and nesting that JSON parsers disagree about become dead letters, wherever they stand."""
    assert refused(with_json("extra", text)) is reason
    for member in ("extra", "attempt", "jobId", "outputsURL"):
        assert refused(with_data(**{member: "@"}).replace(b'"@"', text)) is reason


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"18446744073709551615", id="2^64 - 1"),
        pytest.param(b"-9223372036854775808", id="-2^63"),
        pytest.param(b"0.18446744073709551616", id="a long fraction"),
        pytest.param(b"18446744073709551616.5", id="a long number with a fraction"),
        pytest.param(b"18446744073709551616e2", id="a long number with an exponent"),
        pytest.param(b'"18446744073709551616"', id="digits in a string"),
        pytest.param(rb'"\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["', id="brackets in a string"),
        pytest.param(nested(UNKNOWN_DEPTH), id="depth 32"),
        pytest.param(b"[" + b"[]," * 50 + b"[]]", id="brackets side by side"),
    ],
)
def test_json_within_the_limits_is_kept_out_quietly(text: bytes) -> None:
    """An unknown member within the limits changes nothing, however close to them it comes."""
    assert accepted(with_json("extra", text)) == accepted(GOOD)


def test_a_record_of_the_largest_size_is_accepted() -> None:
    """A value of exactly 256 KiB is still read."""
    value = padded(MAX_RECORD_BYTES)
    assert len(value) == 256 * 1024
    assert accepted(value) == accepted(GOOD)


@pytest.mark.parametrize("member", ["owner", "agreementId", "attempt", "algologURL", "outputsURL", "outcome"])
@pytest.mark.parametrize("depth", [100, 300, 1000])
def test_nesting_in_a_known_member_is_refused(member: str, depth: int) -> None:
    """A member that should be flat is refused at any depth that JSON can have, beyond the validator's own limit too."""
    value = with_data(**{member: "@"}).replace(b'"@"', nested(depth))
    assert refused(value) is Reason.TOO_DEEP


@pytest.mark.parametrize("attribute", ["id", "source", "type", "time", "specversion", "datacontenttype", "data"])
def test_nesting_in_a_known_attribute_is_refused(attribute: str) -> None:
    """An attribute that should be flat is refused at any depth that JSON can have."""
    value = with_attributes(**{attribute: "@"}).replace(b'"@"', nested(1000))
    assert refused(value) is Reason.TOO_DEEP


def test_limits_hold_in_members_that_only_a_later_stage_may_carry() -> None:
    """Nesting does not slip through in `error`, which is an unknown member of every stage but the last."""
    event = good_event() | {"type": "operator.job.started"}
    event["data"]["error"] = orjson.loads(nested(100))
    assert refused(orjson.dumps(event)) is Reason.TOO_DEEP


def test_an_event_cut_anywhere_is_refused() -> None:
    """No beginning of an event is taken for an event."""
    reasons = {refused(GOOD[:length]) for length in range(1, len(GOOD))}
    assert reasons == {Reason.NOT_JSON}


def test_random_bytes_are_refused() -> None:
    """Bytes without any meaning become dead letters and nothing else."""
    source = random.Random(20201001)
    reasons = {refused(source.randbytes(source.randrange(1, 2000))) for _ in range(500)}
    assert reasons == {Reason.NOT_JSON}


def test_a_hundred_thousand_keys_are_refused() -> None:
    """So many members do not fit in a record."""
    members = b",".join(b'"%d":1' % number for number in range(100_000))
    assert refused(GOOD[:-1] + b"," + members + b"}") is Reason.TOO_LARGE


@pytest.mark.parametrize("text", [nested(40), nested(UNKNOWN_DEPTH + 1), b"[" + b"[]," * 50 + nested(40) + b"]"])
@pytest.mark.parametrize("name", ["id", "source", "type", "time", "specversion", "datacontenttype", "data", "extra"])
def test_nesting_that_a_second_member_hides_is_refused(name: str, text: bytes) -> None:
    """A parser shows the last member of a name only; nesting in the one before it is refused all the same."""
    assert refused(b'{"' + name.encode() + b'":' + text + b',"extra":1,' + GOOD[1:]) is Reason.TOO_DEEP


@pytest.mark.parametrize("text", [b"18446744073709551616", b"-9223372036854775809", b"[1,18446744073709551616]"])
@pytest.mark.parametrize("name", ["id", "source", "type", "time", "specversion", "datacontenttype", "data", "extra"])
def test_an_integer_that_a_second_member_hides_is_refused(name: str, text: bytes) -> None:
    """A parser shows the last member of a name only; a large integer in the one before it is refused all the same."""
    assert refused(b'{"' + name.encode() + b'":' + text + b',"extra":1,' + GOOD[1:]) is Reason.NUMBER_TOO_LARGE


@pytest.mark.parametrize("name", ["owner", "agreementId", "jobId", "attempt", "algologURL", "outputsURL", "message"])
def test_what_a_second_member_of_the_data_hides_is_refused(name: str) -> None:
    """The limits hold for members of the data that are given twice, whichever of both is beyond them."""
    for text, reason in ((nested(40), Reason.TOO_DEEP), (b"18446744073709551616", Reason.NUMBER_TOO_LARGE)):
        hidden = b'"' + name.encode() + b'":' + text
        good = with_data(message="m", algologURL="http://a/")
        assert refused(good.replace(b'"data":{', b'"data":{' + hidden + b",")) is reason
        assert refused(good[:-2] + b"," + hidden + b"}}") is reason


def test_what_is_hidden_within_the_limits_changes_nothing() -> None:
    """A member given twice is no fault in itself: the last one counts."""
    assert accepted(b'{"id":18446744073709551615,"data":' + nested(31) + b"," + GOOD[1:]) == accepted(GOOD)


def test_only_a_fault_that_exists_is_named() -> None:
    """A valid event has no first fault."""
    with pytest.raises(ValueError, match="valid"):
        first_fault(good_event())
