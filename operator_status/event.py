"""From what a worker reports to the bytes of an event, checked before anything is sent."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from operator_status.errors import InvalidEventError
from operator_status.published import (
    FINISHED,
    FINISHED_DETAILS,
    IDENTITY,
    OUTCOMES,
    RULES,
    SPEC_VERSION,
    TYPE_OF_STAGE,
    is_valid,
)

Headers = list[tuple[str, bytes]]  # aiokafka takes nothing but a list

# CloudEvents 1.0.2, Kafka Protocol Binding, section 3.3: structured mode.
HEADERS: Final[Headers] = [("content-type", b"application/cloudevents+json")]
# What no schema can say; the projector refuses what is beyond.
MAX_RECORD_BYTES: Final = 256 * 1024
MAX_AHEAD: Final = timedelta(days=1)

_IDS: Final = UUID("b0a3f0d5-0c8b-5c4e-9d2c-6f7e1a5d9c11")  # the namespace of our event ids; any would do
_EMPTY: Final[tuple[Any, ...]] = ("", [], ())
_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]+")
_MAX_IDENTIFIER: Final = RULES["jobId"]["maxLength"]
_IDENTIFIER: Final = (
    f"must be 1 to {_MAX_IDENTIFIER} characters, without control characters and without spaces at its ends"
)
_URL: Final = (
    f"must be an http or https URL of at most {RULES['algologURL']['maxLength']} characters, with a host, without "
    "user:password@, spaces and control characters"
)
_TEXT: Final = f"must be well-formed text of at most {RULES['message']['maxLength']} characters"
_TIME: Final = "must be a time of the calendar with its zone, as RFC 3339 writes it: 2020-10-01T01:00:00Z"
SAID: Final[Mapping[str, str]] = {
    "source": _IDENTIFIER,
    "owner": f"must be 0x and hexadecimal digits, at most {_MAX_IDENTIFIER} characters",
    "agreementId": _IDENTIFIER,
    "jobId": _IDENTIFIER,
    "attempt": f"must be a whole number from 1 to {RULES['attempt']['maximum']}",
    "configlogURL": _URL,
    "publishlogURL": _URL,
    "algologURL": _URL,
    "outputsURL": f"must be a list of at most {RULES['outputsURL']['maxItems']} URLs, each of which {_URL}",
    "message": _TEXT,
    "outcome": "must be one of " + ", ".join(OUTCOMES),
    "error": _TEXT,
    "time": _TIME,
}


class ReportedJob(NamedTuple):
    """Which attempt of which job a worker reports on, and which worker that is."""

    owner: str
    agreement_id: str
    job_id: str
    attempt: int = 1
    source: str = ""

    def __str__(self) -> str:
        """Return what an operator looks for."""
        return f"job {self.job_id} of {self.owner}"


class Report(NamedTuple):
    """An event that is ready to be sent."""

    id: str
    key: bytes
    value: bytes
    text: str  # says in a few words what it is, without any URL
    of: tuple[object, ...] = ()  # the job and the stage
    moment: datetime = datetime.min.replace(tzinfo=UTC)
    details: frozenset[str] = frozenset()  # which of them it carries

    def __str__(self) -> str:
        """Return the few words."""
        return self.text


def make_report(job: ReportedJob, stage: str, details: Mapping[str, Any], time: datetime | str | None = None) -> Report:
    """Return the event by which a worker reports a stage; `details` by their names in events, what is empty left out.

    Without a time it is now. Raises InvalidEventError with every fault at once.
    """
    written = rfc3339(time)
    given = _given({"attempt": job.attempt, **details})
    data = {"owner": job.owner, "agreementId": job.agreement_id, "jobId": job.job_id, **given}
    if faults := _faults(stage, {"source": job.source, **data, "time": written}):
        raise InvalidEventError(faults)
    event = {
        "specversion": SPEC_VERSION,
        "id": event_id(job, stage, details),
        "source": job.source,
        "type": TYPE_OF_STAGE[stage],
        "time": written,
        "datacontenttype": "application/json",
        "data": data,
    }
    value = as_json(event).encode()
    if len(value) > MAX_RECORD_BYTES:
        raise InvalidEventError([f"the value has {len(value)} bytes, more than {MAX_RECORD_BYTES}"])
    carried = frozenset(given) - set(IDENTITY)
    return Report(
        event["id"], job.job_id.encode(), value, f"{stage} of {job}", (job, stage), moment_of(written), carried
    )


def event_id(job: ReportedJob, stage: str, details: Mapping[str, Any]) -> str:
    """Return the id of a report: the same for the same report, so that its repetition can be recognised."""
    agreement = job.agreement_id.lower() if _HEX.fullmatch(job.agreement_id) else job.agreement_id
    who = [job.source, job.owner.lower(), agreement, job.job_id, job.attempt]
    return str(uuid5(_IDS, as_json([*who, stage, _given(details)], sort_keys=True)))


def as_json(value: Any, *, sort_keys: bool = False) -> str:
    """Return JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)


def rfc3339(time: Any) -> Any:
    """Return the time in UTC with microseconds; what is not a time with a zone unchanged, for the check to find."""
    moment = time if _is_given(time) else datetime.now(UTC)
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is None:
        return moment.isoformat()
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def moment_of(text: str) -> datetime:
    """Return the moment of a time as RFC 3339 writes it; ValueError when it is not in the calendar."""
    is_leap_second = text[17:19] == "60"
    moment = datetime.fromisoformat((text[:17] + "59" + text[19:] if is_leap_second else text).upper())
    try:
        moment = moment.astimezone(UTC)
        if is_leap_second and (moment.hour, moment.minute) != (23, 59):
            raise ValueError("a leap second is at 23:59 UTC")
        return moment + timedelta(seconds=is_leap_second)
    except OverflowError as error:
        raise ValueError("outside the years 1 to 9999") from error


def fault_of_time(text: Any) -> str | None:
    """Return what is wrong with a time."""
    if not is_valid("time", text):
        return _TIME
    try:
        is_ahead = moment_of(text) > datetime.now(UTC) + MAX_AHEAD
    except ValueError:
        return _TIME
    return "more than a day ahead" if is_ahead else None


def _faults(stage: str, fields: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each field that is wrong; [] when the projector will take the event."""
    misplaced = [] if stage == FINISHED else [name for name in FINISHED_DETAILS if name in fields]
    faults = [f"{name}: only for the stage {FINISHED}" for name in misplaced]
    for name, rule in SAID.items():
        if name == "time" and (fault := fault_of_time(fields["time"])):
            faults.append(f"time: {fault}")
        elif name in fields and name not in misplaced and not is_valid(name, fields[name]):
            faults.append(f"{name}: {rule}")
    return faults


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if _is_given(value)}


def _is_given(value: object) -> bool:
    return value is not None and value not in _EMPTY
