"""From what a worker reports to the bytes of an event, checked before anything is sent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import orjson

from schemas.decode import Reason, RefusedEventError, decode
from schemas.identity import MAX_ATTEMPT, MAX_IDENTIFIER_CHARACTERS, canonical_hex
from schemas.job_event import (
    DEFAULT_ATTEMPT,
    FINISHED_DETAILS,
    MAX_OUTPUTS,
    MAX_TEXT_CHARACTERS,
    MAX_URL_CHARACTERS,
    NOT_GIVEN,
    SPEC_VERSION,
    VALIDATOR,
)
from schemas.lifecycle import FINISHED, OUTCOMES, Stage
from worker.errors import InvalidEventError

Headers = list[tuple[str, bytes]]  # aiokafka takes nothing but a list

# CloudEvents 1.0.2, Kafka Protocol Binding, section 3.3: structured mode.
HEADERS: Final[Headers] = [("content-type", b"application/cloudevents+json")]

_IDS: Final = UUID("b0a3f0d5-0c8b-5c4e-9d2c-6f7e1a5d9c11")  # the namespace of our event ids; any would do
_IDENTIFIER: Final = (
    f"must be 1 to {MAX_IDENTIFIER_CHARACTERS} characters, without control characters and without spaces at its ends"
)
_URL: Final = (
    f"must be an http or https URL of at most {MAX_URL_CHARACTERS} characters, with a host, without user:password@, "
    "spaces and control characters"
)
_TEXT: Final = f"must be well-formed text of at most {MAX_TEXT_CHARACTERS} characters"
_TIME: Final = "must be a time of the calendar with its zone, as RFC 3339 writes it: 2020-10-01T01:00:00Z"
RULES: Final[Mapping[str, str]] = {
    "source": _IDENTIFIER,
    "owner": f"must be 0x and hexadecimal digits, at most {MAX_IDENTIFIER_CHARACTERS} characters",
    "agreementId": _IDENTIFIER,
    "jobId": _IDENTIFIER,
    "attempt": f"must be a whole number from 1 to {MAX_ATTEMPT}",
    "configlogURL": _URL,
    "publishlogURL": _URL,
    "algologURL": _URL,
    "outputsURL": f"must be a list of at most {MAX_OUTPUTS} URLs, each of which {_URL}",
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
    attempt: int = DEFAULT_ATTEMPT
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

    def __str__(self) -> str:
        """Return the few words."""
        return self.text


def make_report(
    job: ReportedJob, stage: Stage, details: Mapping[str, Any], time: datetime | str | None = None
) -> Report:
    """Return the event by which a worker reports a stage; `details` by their names in events, what is empty left out.

    Without a time it is now. Raises InvalidEventError with every fault at once.
    """
    identity = {"owner": job.owner, "agreementId": job.agreement_id, "jobId": job.job_id}
    data = identity | _given({"attempt": job.attempt, **details})
    event = {
        "specversion": SPEC_VERSION,
        "id": "unknown",  # until the rest is known to be right
        "source": _writable(job.source),
        "type": stage.event_type,
        "time": _writable(_rfc3339(time)),
        "datacontenttype": "application/json",
        "data": {name: _writable(value) for name, value in data.items()},
    }
    if faults := _faults(stage, event):
        raise InvalidEventError(faults)
    event["id"] = event_id(job, stage, details)
    return Report(str(event["id"]), job.job_id.encode(), orjson.dumps(event), f"{stage.name} of {job}")


def event_id(job: ReportedJob, stage: Stage, details: Mapping[str, Any]) -> str:
    """Return the id of a report: the same for the same report, so that its repetition can be recognised."""
    who = [job.source, str(job.owner).lower(), canonical_hex(str(job.agreement_id)), job.job_id, job.attempt]
    return str(uuid5(_IDS, orjson.dumps([*who, stage.name, _given(details)], option=orjson.OPT_SORT_KEYS).decode()))


def _rfc3339(time: datetime | str | None) -> object:
    """Return the time in UTC with microseconds; what is not a time with a zone unchanged, for the check to find."""
    moment = time if _is_given(time) else datetime.now(UTC)
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is None:
        return moment.isoformat()
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if _is_given(value)}


def _is_given(value: object) -> bool:
    return value not in NOT_GIVEN and value != ()  # in JSON a tuple is an array


def _writable(value: Any) -> Any:
    """Return the value, or for one that JSON cannot hold (a lone surrogate, a Path) false, which no field may be."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return value


def _faults(stage: Stage, event: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each field that is wrong; [] when the projector will take the event."""
    misplaced = [] if stage is FINISHED else [name for name in FINISHED_DETAILS if name in event["data"]]
    faults = [f"{name}: only for the stage {FINISHED.name}" for name in misplaced]
    value = orjson.dumps(event)
    wrong = {_field(error) for error in VALIDATOR.iter_errors(orjson.loads(value))}
    faults += [f"{name}: {rule}" for name, rule in RULES.items() if name in wrong]
    return faults or _refusal(value)


def _refusal(value: bytes) -> list[str]:
    """Return why the projector would refuse an event that meets the schema: its size, or a day that does not exist."""
    try:
        decode(value, HEADERS, int(datetime.now(UTC).timestamp() * 1000))
    except RefusedEventError as error:
        return [f"time: {_TIME}"] if error.reason is Reason.INVALID_TIME else [str(error)]
    return []


def _field(error: Any) -> str:
    """Return the name of the field that a fault of the schema is about."""
    if error.kind.name == "required":
        return str(error.kind.property).strip('"')
    path = [part for part in error.instance_path if part != "data"]
    return str(path[0]) if path else "event"
