"""Records that nobody can understand, each kind with the reason that the dead letter should name.

For simulations and tests: a kind spoils a good event, so that what is wrong with it is wrong alone.
"""

import gzip
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from operator_status.event import HEADERS, Headers
from schemas.decode import Reason
from schemas.identity import MAX_IDENTIFIER_CHARACTERS
from schemas.job_event import MAX_DEPTH, MAX_OUTPUTS, MAX_RECORD_BYTES, MAX_TEXT_CHARACTERS, MAX_URL_CHARACTERS

Spoil = Callable[[bytes], tuple[bytes | None, Headers]]


class Garbage(NamedTuple):
    """A kind of record that is refused: why, and how a good event's value becomes one."""

    reason: Reason
    spoil: Spoil


def _bytes(change: Callable[[bytes], bytes | None]) -> Spoil:
    return lambda value: (change(value), HEADERS)


def _event(**members: Any) -> Spoil:
    return lambda value: (orjson.dumps(orjson.loads(value) | members), HEADERS)


def _data(**members: Any) -> Spoil:
    def spoil(value: bytes) -> tuple[bytes, Headers]:
        event = orjson.loads(value)
        event["data"] |= members
        return orjson.dumps(event), HEADERS

    return spoil


def _without(*path: str) -> Spoil:
    def spoil(value: bytes) -> tuple[bytes, Headers]:
        event = orjson.loads(value)
        *parents, name = path
        holder = event
        for parent in parents:
            holder = holder[parent]
        del holder[name]
        return orjson.dumps(event), HEADERS

    return spoil


def _extra_member(text: bytes) -> Spoil:
    """Add an unknown member with this JSON text, which Python's types could not express."""
    return _bytes(lambda value: value[:-1] + b',"extra":' + text + b"}")


def _hidden(text: bytes) -> Spoil:
    """Give the event's id twice: first this JSON text, which a parser then hides."""
    return _bytes(lambda value: b'{"id":' + text + b"," + value[1:])


def _in_base64(change: Callable[[bytes], bytes]) -> Spoil:
    """Put the data into `data_base64`, and change their JSON before."""

    def spoil(value: bytes) -> tuple[bytes, Headers]:
        event = orjson.loads(value)
        event["data_base64"] = b64encode(change(orjson.dumps(event.pop("data")))).decode()
        return orjson.dumps(event), HEADERS

    return spoil


def _too_large(value: bytes) -> bytes:
    filled = value[:-1] + b',"extra":""}'
    return filled[:-2] + b"x" * (MAX_RECORD_BYTES + 1 - len(filled)) + filled[-2:]


def _binary_with_bad_header(value: bytes) -> tuple[bytes, Headers]:
    event = orjson.loads(value)
    data = orjson.dumps(event["data"])
    names = ("specversion", "type", "id", "time")
    return data, [("ce_source", b"\xff\xfe"), *((f"ce_{name}", event[name].encode()) for name in names)]


GARBAGE: Final[Mapping[str, Garbage]] = {
    # Bytes
    "tombstone": Garbage(Reason.EMPTY_VALUE, _bytes(lambda _: None)),
    "empty": Garbage(Reason.EMPTY_VALUE, _bytes(lambda _: b"")),
    "blank": Garbage(Reason.NOT_JSON, _bytes(lambda _: b" ")),
    "cut": Garbage(Reason.NOT_JSON, _bytes(lambda value: value[: len(value) * 2 // 3])),
    "two-documents": Garbage(Reason.NOT_JSON, _bytes(lambda value: value + value)),
    "trailing-nul": Garbage(Reason.NOT_JSON, _bytes(lambda value: value + b"\0")),
    "byte-order-mark": Garbage(Reason.NOT_JSON, _bytes(lambda value: b"\xef\xbb\xbf" + value)),
    "utf-16": Garbage(Reason.NOT_JSON, _bytes(lambda value: value.decode().encode("utf-16"))),
    "latin-1": Garbage(Reason.NOT_JSON, _bytes(lambda value: value.replace(b"/workers", b"/w\xf6rkers"))),
    "overlong-utf-8": Garbage(Reason.NOT_JSON, _bytes(lambda value: value.replace(b"/workers", b"\xc0\xafworkers"))),
    "gzip": Garbage(Reason.NOT_JSON, _bytes(lambda value: gzip.compress(value, mtime=0))),
    "avro": Garbage(Reason.NOT_JSON, _bytes(lambda value: b"\0\0\0\0\1" + value)),
    "too-large": Garbage(Reason.TOO_LARGE, _bytes(_too_large)),
    # JSON
    "nan": Garbage(Reason.NOT_JSON, _extra_member(b"NaN")),
    "trailing-comma": Garbage(Reason.NOT_JSON, _bytes(lambda value: value[:-1] + b",}")),
    "lone-surrogate": Garbage(Reason.NOT_JSON, _extra_member(rb'"\ud800"')),
    "huge-number": Garbage(Reason.NUMBER_TOO_LARGE, _extra_member(b"18446744073709551616")),
    "too-deep": Garbage(Reason.TOO_DEEP, _extra_member(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)),
    "hidden-depth": Garbage(Reason.TOO_DEEP, _hidden(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)),
    "hidden-number": Garbage(Reason.NUMBER_TOO_LARGE, _hidden(b"18446744073709551616")),
    "null": Garbage(Reason.NOT_AN_EVENT, _bytes(lambda _: b"null")),
    "array": Garbage(Reason.NOT_AN_EVENT, _bytes(lambda value: b"[" + value + b"]")),
    "other-case": Garbage(Reason.NOT_AN_EVENT, _bytes(lambda value: value.replace(b'"specversion"', b'"SpecVersion"'))),
    # Fields
    "no-specversion": Garbage(Reason.NOT_AN_EVENT, _without("specversion")),
    "other-specversion": Garbage(Reason.UNKNOWN_SPECVERSION, _event(specversion="0.3")),
    "unknown-type": Garbage(Reason.UNKNOWN_TYPE, _event(type="operator.job.paused")),
    "no-id": Garbage(Reason.INVALID_FIELD, _without("id")),
    "no-data": Garbage(Reason.INVALID_FIELD, _without("data")),
    "data-twice": Garbage(Reason.INVALID_FIELD, _event(data_base64="e30=")),
    "data-base64-broken": Garbage(Reason.INVALID_FIELD, _event(data=None, data_base64="e30")),
    "data-base64-not-json": Garbage(Reason.NOT_JSON, _in_base64(lambda data: data[:-1])),
    "data-base64-no-owner": Garbage(Reason.INVALID_FIELD, _in_base64(lambda data: data.replace(b"owner", b"Owner"))),
    "no-owner": Garbage(Reason.INVALID_FIELD, _without("data", "owner")),
    "owner-not-hex": Garbage(Reason.INVALID_FIELD, _data(owner="alice")),
    "agreement-null": Garbage(Reason.INVALID_FIELD, _data(agreementId=None)),
    "job-number": Garbage(Reason.INVALID_FIELD, _data(jobId=3333)),
    "job-blank": Garbage(Reason.INVALID_FIELD, _data(jobId="  ")),
    "job-long": Garbage(Reason.INVALID_FIELD, _data(jobId="3" * (MAX_IDENTIFIER_CHARACTERS + 1))),
    "job-control-character": Garbage(Reason.INVALID_FIELD, _data(jobId="33\r\n33")),
    "attempt-zero": Garbage(Reason.INVALID_FIELD, _data(attempt=0)),
    "attempt-text": Garbage(Reason.INVALID_FIELD, _data(attempt="1")),
    "attempt-fraction": Garbage(Reason.INVALID_FIELD, _data(attempt=1.5)),
    "message-long": Garbage(Reason.INVALID_FIELD, _data(message="m" * (MAX_TEXT_CHARACTERS + 1))),
    "url-javascript": Garbage(Reason.INVALID_FIELD, _data(algologURL="javascript:alert(1)")),
    "url-no-host": Garbage(Reason.INVALID_FIELD, _data(algologURL="http://:80/log")),
    "url-password": Garbage(Reason.INVALID_FIELD, _data(configlogURL="http://user:word@example.net/log")),
    "url-line-break": Garbage(Reason.INVALID_FIELD, _data(publishlogURL="http://example.net/\r\nSet-Cookie:a=b")),
    "url-long": Garbage(Reason.INVALID_FIELD, _data(algologURL="http://example.net/" + "a" * MAX_URL_CHARACTERS)),
    "outputs-text": Garbage(Reason.INVALID_FIELD, _data(outputsURL="http://example.net/output/0")),
    "outputs-many": Garbage(Reason.INVALID_FIELD, _data(outputsURL=["http://example.net/o"] * (MAX_OUTPUTS + 1))),
    # Time
    "time-number": Garbage(Reason.INVALID_TIME, _event(time=1601514000)),
    "time-without-zone": Garbage(Reason.INVALID_TIME, _event(time="2020-10-01T01:00:00")),
    "time-24-hours": Garbage(Reason.INVALID_TIME, _event(time="2020-10-01T24:00:00Z")),
    "time-not-a-day": Garbage(Reason.INVALID_TIME, _event(time="2021-02-29T01:00:00Z")),
    "time-ahead": Garbage(Reason.TIME_AHEAD, _event(time="9999-01-01T00:00:00Z")),
    # Headers
    "bad-header": Garbage(Reason.INVALID_HEADER, _binary_with_bad_header),
}
