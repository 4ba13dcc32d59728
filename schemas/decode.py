"""From the bytes of a Kafka record to a job event, or to the reason why not.

Accepts CloudEvents 1.0 by its Kafka binding, structured mode (the value is the whole event) and binary mode (the
attributes are `ce_` headers, the value is the data). What cannot be understood raises `RefusedEventError`.
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NoReturn

import orjson

from schemas import json_text
from schemas.event_time import is_ahead, sortable_time, sortable_timestamp
from schemas.identity import JobIdentity, canonical_hex
from schemas.job_event import (
    DEFAULT_ATTEMPT,
    DETAILS,
    FINISHED_DETAILS,
    MAX_DEPTH,
    MAX_RECORD_BYTES,
    NAMING_VALIDATOR,
    SCHEMA,
    SPEC_VERSION,
    VALIDATOR,
    JobEvent,
    first_fault,
)
from schemas.lifecycle import FINISHED, OUTCOME_OF_ERROR, STAGE_BY_EVENT_TYPE, STAGES
from schemas.usual_event import Row, usual_details, usual_event

Headers = Sequence[tuple[str, bytes | None]]

# Of each type of event its stage, and the details that the stage may carry.
_BY_TYPE: Final = {
    stage.event_type: (stage, frozenset({**DETAILS, **FINISHED_DETAILS} if stage is FINISHED else DETAILS))
    for stage in STAGES
}
_STRUCTURED: Final = b"application/cloudevents"
# One tuple for all records: it is known again at once, and takes no memory of its own for each.
USUAL_HEADERS: Final[Headers] = (("content-type", b"application/cloudevents+json"),)
_BINARY_MARK: Final = "ce_specversion"
_ATTRIBUTE_BY_HEADER: Final = {
    f"ce_{name}": name for name in SCHEMA["properties"] if name not in ("data", "data_base64")
}
_is_valid: Final = VALIDATOR.is_valid
_is_plain: Final = json_text.is_plain
_row: Final = Row()
_new: Final = tuple.__new__  # half the time of a NamedTuple's own constructor, twice for every event


class Reason(StrEnum):
    """Stable codes that say why a record became a dead letter."""

    EMPTY_VALUE = "empty-value"
    TOO_LARGE = "too-large"
    NOT_JSON = "not-json"
    TOO_DEEP = "too-deep"
    NUMBER_TOO_LARGE = "number-too-large"
    NOT_AN_EVENT = "not-an-event"
    INVALID_HEADER = "invalid-header"
    UNKNOWN_SPECVERSION = "unknown-specversion"
    UNKNOWN_TYPE = "unknown-type"
    INVALID_FIELD = "invalid-field"
    INVALID_TIME = "invalid-time"
    TIME_AHEAD = "time-ahead"
    NO_TIME = "no-time"


# What is refused for these was read, so that it costs little to look whether it names a job.
_READABLE: Final = frozenset(
    {
        Reason.NOT_AN_EVENT,
        Reason.UNKNOWN_SPECVERSION,
        Reason.UNKNOWN_TYPE,
        Reason.INVALID_FIELD,
        Reason.INVALID_TIME,
        Reason.TIME_AHEAD,
        Reason.NO_TIME,
    }
)


class RefusedEventError(ValueError):
    """A record that cannot be understood; `reason` is its stable code. Never quotes the record's values."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def decode(value: bytes | None, headers: Headers, timestamp: int) -> JobEvent:
    """Return the job event of a Kafka record.

    `timestamp` is the record's, in Unix milliseconds, negative when it has none. Raises RefusedEventError.
    Source: CloudEvents 1.0.2, Kafka Protocol Binding, sections 3.1 to 3.3.
    """
    # The headers are our reporter's, and most others'.
    is_usual = not headers or headers is USUAL_HEADERS or tuple(headers) == USUAL_HEADERS
    if value and is_usual and (not _row.length or _row.is_to_try()):
        event = decode_usual(value, timestamp)
        if event is None or _row.length:
            _row.note(is_usual=event is not None)
        if event is not None:
            return event
    return decode_any(value, headers, timestamp)


def decode_usual(value: bytes, timestamp: int) -> JobEvent | None:
    """Return what `decode_any` does, or raise the same, when the value is a usual event (see `usual_event`)."""
    event = usual_event(value)
    if event is None:
        return None
    data = event.data
    try:
        details = usual_details(data)
    except ValueError:
        return None
    identity = _new(
        JobIdentity, (data.owner, canonical_hex(data.agreementId), data.jobId, data.attempt or DEFAULT_ATTEMPT)
    )
    stage, known = _BY_TYPE[event.type]
    if data.outcome or data.error:  # which not every stage may carry
        details = _details(details, known)
    moment = _in_time(event.time, timestamp) if event.time else _time(None, timestamp)
    return _new(JobEvent, (identity, stage, moment, event.source, event.id, details))


def decode_any(value: bytes | None, headers: Headers, timestamp: int) -> JobEvent:
    """Return the job event of a record as `decode` does, by the published schema alone, whatever it looks like."""
    event = _read(value, headers) if headers else _load(value)
    if not _is_valid(event):
        _refuse(event)
    data = event.get("data") or _data_in_base64(event)  # the schema has seen to it that one of both is given
    attempt = data.pop("attempt", None) or DEFAULT_ATTEMPT
    if attempt.__class__ is not int:
        attempt = int(attempt)  # 1.0 is an integer to JSON Schema
    owner, agreement_id, job_id = data.pop("owner"), data.pop("agreementId"), data.pop("jobId")
    identity = _new(JobIdentity, (owner.lower(), canonical_hex(agreement_id), job_id, attempt))
    stage, known = _BY_TYPE[event["type"]]
    if data and (not known.issuperset(data) or not all(data.values()) or "error" in data):
        data = _details(data, known)
    moment = _time(event.get("time"), timestamp)
    return _new(JobEvent, (identity, stage, moment, event["source"], event["id"], data))


def _read(value: bytes | None, headers: Headers) -> Any:
    """Return the event in either mode: binary when a `ce_specversion` header says so, else structured.

    Names of headers are looked at in lower case. Of a header given twice the last counts, as in Kafka's own
    `lastHeader`.
    """
    given = {name.lower(): content for name, content in headers}
    content_type = given.get("content-type") or b""
    if given.get(_BINARY_MARK) is None or content_type.strip(b' \t"').lower().startswith(_STRUCTURED):
        return _load(value)
    attributes = {
        attribute: _text(header, content)
        for header, attribute in _ATTRIBUTE_BY_HEADER.items()
        if (content := given.get(header)) is not None
    }
    return attributes | {"data": _load(value)}


def _text(header: str, content: bytes) -> str:
    """Return the value of an attribute in a header, without the quotes that some clients put around all of them."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise RefusedEventError(Reason.INVALID_HEADER, f"the header {header} is not UTF-8") from None
    if text[:1] != '"' or text[-1] != '"':
        return text
    try:
        return str(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text


def _load(value: bytes | None, what: str = "the value") -> Any:
    if not value:
        raise RefusedEventError(Reason.EMPTY_VALUE, "the record has no value")
    if len(value) > MAX_RECORD_BYTES:
        raise RefusedEventError(Reason.TOO_LARGE, f"the value has {len(value)} bytes, more than {MAX_RECORD_BYTES}")
    try:
        content = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise RefusedEventError(Reason.NOT_JSON, f"{what} is not JSON: {error.msg} at {error.pos}") from None
    if not _is_plain(value):
        _check_text(value)
    return content


def _check_text(text: bytes) -> None:
    """Refuse nesting and integers that the members we know cannot have, but others can, or one that is given twice."""
    if json_text.is_too_deep(text):
        raise RefusedEventError(Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH}")
    if json_text.has_large_integer(text):
        raise RefusedEventError(Reason.NUMBER_TOO_LARGE, "an integer is larger than 64 bits")


def _data_in_base64(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a valid event that carries them as bytes: in base64, which the schema has seen to."""
    data: dict[str, Any] = _load(b64decode(event["data_base64"]), "data_base64")
    plain = {**event, "data": data, "data_base64": None}
    if not _is_valid(plain):
        _refuse(plain)
    return data


def _details(data: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return what was given of the details that the stage may carry, and what follows from them."""
    details = {name: content for name, content in data.items() if content and name in known}
    if "error" in details:
        details.setdefault("outcome", OUTCOME_OF_ERROR)
    return details


def _time(text: str | None, timestamp: int) -> str:
    if not text and timestamp < 0:
        raise RefusedEventError(Reason.NO_TIME, "neither the event nor the record has a time")
    try:
        moment = sortable_time(text) if text else sortable_timestamp(timestamp)
    except ValueError as error:
        raise RefusedEventError(Reason.INVALID_TIME, f"time: {error}") from None
    return _in_time(moment, timestamp)


def _in_time(moment: str, timestamp: int) -> str:
    """Return the sortable time, unless the record's timestamp says that it has not come yet."""
    if timestamp >= 0 and is_ahead(moment, timestamp):
        raise RefusedEventError(Reason.TIME_AHEAD, "time: more than a day after the record's timestamp")
    return moment


def _refuse(event: Any) -> NoReturn:
    """Raise the reason that helps most."""
    if not isinstance(event, dict) or "specversion" not in event:
        raise RefusedEventError(Reason.NOT_AN_EVENT, "the value is not a CloudEvent: no specversion")
    if event["specversion"] != SPEC_VERSION:
        raise RefusedEventError(Reason.UNKNOWN_SPECVERSION, f"specversion: only {SPEC_VERSION} is known")
    if "type" in event and event["type"] not in tuple(STAGE_BY_EVENT_TYPE):
        raise RefusedEventError(Reason.UNKNOWN_TYPE, "type: not a stage of the job lifecycle")
    # The first fault alone: a crafted event can have a hundred thousand.
    path, fault = first_fault(event)
    raise RefusedEventError(Reason.INVALID_TIME if path == "time" else Reason.INVALID_FIELD, f"{path}: {fault}")


def named_job(value: bytes | None, headers: Headers, reason: Reason) -> JobIdentity | None:
    """Return the job that a record names which was refused for this reason, as far as it can be read; None if none."""
    if reason not in _READABLE:
        return None
    try:
        event = _read(value, headers)
        data = event.get("data") or _load(b64decode(event["data_base64"], validate=True))
        is_named = NAMING_VALIDATOR.is_valid(data)
    except (RefusedEventError, AttributeError, KeyError, TypeError, ValueError):  # it is no event, or is not in base64
        return None
    if not is_named:
        return None
    attempt = int(data.get("attempt") or DEFAULT_ATTEMPT)
    return JobIdentity(data["owner"].lower(), canonical_hex(data["agreementId"]), data["jobId"], attempt)
