"""The job event: its JSON Schema, published and executed as it is, and its limits.

To add a field that workers report and users see: add it to `DETAILS` here, and to the view in `job_status`.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import jsonschema_rs

from schemas.event_time import RFC3339_PATTERN
from schemas.identity import MAX_ATTEMPT, MAX_IDENTIFIER_CHARACTERS, JobIdentity
from schemas.lifecycle import DEFAULT_OUTCOME, FINISHED, OUTCOMES, STAGE_BY_EVENT_TYPE, Stage

SPEC_VERSION: Final = "1.0"
DEFAULT_ATTEMPT: Final = 1
MAX_RECORD_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32
MAX_URL_CHARACTERS: Final = 2048
MAX_OUTPUTS: Final = 1000
MAX_TEXT_CHARACTERS: Final = 1000

_CONTROL: Final = r"\u0000-\u001f\u007f-\u009f"
_BIDIRECTIONAL: Final = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_SPACE: Final = r"\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_EDGE: Final = rf"[^{_CONTROL}{_SPACE}]"
# No control characters, no space at either end, at least one character.
_IDENTIFIER_PATTERN: Final = rf"^{_EDGE}([^{_CONTROL}]*{_EDGE})?$"
_NOT_IN_URL: Final = rf"{_CONTROL}{_BIDIRECTIONAL}{_SPACE}"
# http or https, a host without user:password@, and nothing that could forge a line or reverse the text.
_URL_PATTERN: Final = rf"^[hH][tT][tT][pP][sS]?://[^{_NOT_IN_URL}/?#@\\]+([/?#][^{_NOT_IN_URL}]*)?$"

_IDENTIFIER: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_IDENTIFIER_CHARACTERS,
    "pattern": _IDENTIFIER_PATTERN,
}
_URL: Final = {"type": "string", "maxLength": MAX_URL_CHARACTERS, "pattern": _URL_PATTERN}
_TEXT: Final = {"type": "string", "maxLength": MAX_TEXT_CHARACTERS}

# What any stage may carry besides the identity. Of each, the latest stage's latest report counts.
DETAILS: Final[Mapping[str, Mapping[str, Any]]] = {
    "configlogURL": {**_URL, "description": "Configuration log, shown to admins."},
    "publishlogURL": {**_URL, "description": "Publish log, shown to admins."},
    "algologURL": {**_URL, "description": "Log of the algorithm, shown to the user."},
    "outputsURL": {
        "type": "array",
        "items": _URL,
        "maxItems": MAX_OUTPUTS,
        "description": "Outputs of the algorithm.",
    },
    "message": {**_TEXT, "description": "A remark for people."},
}
# What only the last stage may carry.
FINISHED_DETAILS: Final[Mapping[str, Mapping[str, Any]]] = {
    "outcome": {"enum": list(OUTCOMES), "description": f"How the job ended; {DEFAULT_OUTCOME} when not given."},
    "error": {**_TEXT, "description": "Why the job failed."},
}
DETAIL_NAMES: Final = (*DETAILS, *FINISHED_DETAILS)

SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "JobEvent",
    "description": "A CloudEvents 1.0 event by which a compute worker reports that a job reached a stage.",
    "type": "object",
    "required": ["specversion", "id", "source", "type", "data"],
    "properties": {
        "specversion": {"const": SPEC_VERSION},
        "id": {**_IDENTIFIER, "description": "Unique within the source; a repeated report repeats its id."},
        "source": {**_IDENTIFIER, "description": "The worker that reports, as a URI reference: /workers/gpu-7."},
        "type": {"enum": list(STAGE_BY_EVENT_TYPE), "description": "The stage that was reached."},
        # Null is the same as missing for attributes that may be missing (CloudEvents 1.0.2, JSON format, section 2.2).
        "time": {
            "type": ["string", "null"],
            "pattern": RFC3339_PATTERN,
            "description": "When it was reached, RFC 3339; the record's timestamp when missing.",
        },
        "datacontenttype": {"type": ["string", "null"]},
        "data": {
            "type": "object",
            "required": ["owner", "agreementId", "jobId"],
            "properties": {
                "owner": {
                    "type": "string",
                    "maxLength": MAX_IDENTIFIER_CHARACTERS,
                    "pattern": "^0[xX][0-9a-fA-F]+$",
                    "description": "ETH address of the job's owner; letter case means nothing.",
                },
                "agreementId": {**_IDENTIFIER, "description": "Agreement; letter case means nothing when 0x-hex."},
                "jobId": {**_IDENTIFIER, "description": "Workflow ID."},
                "attempt": {"type": "integer", "minimum": 1, "maximum": MAX_ATTEMPT, "default": DEFAULT_ATTEMPT},
                **DETAILS,
            },
        },
    },
    "if": {"properties": {"type": {"const": FINISHED.event_type}}},
    "then": {"properties": {"data": {"properties": FINISHED_DETAILS}}},
}
EXAMPLE: Final[Mapping[str, Any]] = {
    "specversion": SPEC_VERSION,
    "id": "3333-finished-1",
    "source": "/workers/gpu-7",
    "type": FINISHED.event_type,
    "time": "2020-10-01T01:00:00Z",
    "datacontenttype": "application/json",
    "data": {
        "owner": "0x1111",
        "agreementId": "0x2222",
        "jobId": "3333",
        "attempt": 1,
        "outputsURL": ["http://example.net/logs/output/0", "http://example.net/logs/output/1"],
    },
}

# Linear-time matching: a crafted value cannot make a pattern backtrack.
VALIDATOR: Final = jsonschema_rs.validator_for(dict(SCHEMA), pattern_options=jsonschema_rs.RegexOptions())


class JobEvent(NamedTuple):
    """An event that was understood: canonical identity, sortable time, and the details its stage may carry."""

    identity: JobIdentity
    stage: Stage
    time: str
    source: str
    id: str
    details: Mapping[str, Any]


def first_fault(event: Any) -> tuple[str, str]:
    """Return where an event first breaks the schema, and how, quoting no value of it; ValueError when it is valid."""
    try:
        VALIDATOR.validate(event)
    except jsonschema_rs.ValidationError as error:
        path = ".".join(map(str, error.instance_path))
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
            return f"{path}.{error.kind.property}".strip("."), "missing"
        return path, f"does not meet the schema's {error.kind.name}"
    raise ValueError("the event is valid")
