"""The job event: its JSON Schema, published and executed as it is, and its limits.

To add a field that workers report and users see: add it to `DETAILS` here, and to the view in `job_status`.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import jsonschema_rs

from schemas.event_time import RFC3339_PATTERN
from schemas.identity import MAX_ATTEMPT, MAX_IDENTIFIER_CHARACTERS, JobIdentity
from schemas.lifecycle import DEFAULT_OUTCOME, FINISHED, OUTCOME_OF_ERROR, OUTCOMES, STAGE_BY_EVENT_TYPE, Stage

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
# A name of a host without what no parser of URLs takes there, or an IPv6 address; a port that exists, or an empty one.
_HOST: Final = rf"(([^{_NOT_IN_URL}%/?#@:<>\[\]\\^|]|%[0-9a-fA-F]{{2}})+|\[[0-9a-fA-F.:]+\])"
_PORT: Final = "0*([0-9]{0,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
# http or https, no user:password@, and nothing that could forge a line or reverse the text.
_URL_PATTERN: Final = rf"^[hH][tT][tT][pP][sS]?://{_HOST}(:{_PORT})?([/?#][^{_NOT_IN_URL}]*)?$"
_BASE64_PATTERN: Final = "^([0-9A-Za-z+/]{4})*([0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?$"

# How clients in Java, Go and .NET write what is not given. To CloudEvents too null is the same as missing (1.0.2, JSON
# format, section 2.2).
NOT_GIVEN: Final[tuple[Any, ...]] = (None, "", [])


def _optional(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a member that may be left out, and is left out as well by null, "" and []."""
    kind = schema["type"]
    taken: dict[str, Any] = {"type": [kind, *(other for other in ("null", "string", "array") if other != kind)]}
    if kind != "array":
        taken["maxItems"] = 0
    if kind != "string":
        taken["maxLength"] = 0
    elif "pattern" in schema:
        taken["pattern"] = f"^({schema['pattern'][1:-1]})?$"
    return {**schema, **taken}


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
    "configlogURL": {**_optional(_URL), "description": "Configuration log, shown to admins."},
    "publishlogURL": {**_optional(_URL), "description": "Publish log, shown to admins."},
    "algologURL": {**_optional(_URL), "description": "Log of the algorithm, shown to the user."},
    "outputsURL": {
        **_optional({"type": "array", "items": _URL, "maxItems": MAX_OUTPUTS}),
        "description": "Outputs of the algorithm.",
    },
    "message": {**_optional(_TEXT), "description": "A remark for people."},
}
# What only the last stage may carry.
FINISHED_DETAILS: Final[Mapping[str, Mapping[str, Any]]] = {
    "outcome": {
        "enum": [*OUTCOMES, *NOT_GIVEN],
        "description": f"How the job ended; when not given, {OUTCOME_OF_ERROR} with an error, else {DEFAULT_OUTCOME}.",
    },
    "error": {**_optional(_TEXT), "description": "Why the job failed."},
}
DETAIL_NAMES: Final = (*DETAILS, *FINISHED_DETAILS)

_DATA: Final[Mapping[str, Any]] = {
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
        "attempt": {
            **_optional({"type": "integer", "minimum": 1, "maximum": MAX_ATTEMPT}),
            "default": DEFAULT_ATTEMPT,
        },
        **DETAILS,
    },
}
_MEMBERS: Final = frozenset({*_DATA["properties"], *FINISHED_DETAILS})
_BASE64: Final = {"type": "string", "pattern": _BASE64_PATTERN}

SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "JobEvent",
    "description": "A CloudEvents 1.0 event by which a compute worker reports that a job reached a stage. An optional "
    'member that is null, "" or [] counts as not given.',
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": SPEC_VERSION},
        "id": {**_IDENTIFIER, "description": "Unique within the source; a repeated report repeats its id."},
        "source": {**_IDENTIFIER, "description": "The worker that reports, as a URI reference: /workers/gpu-7."},
        "type": {"enum": list(STAGE_BY_EVENT_TYPE), "description": "The stage that was reached."},
        "time": {
            **_optional({"type": "string", "pattern": RFC3339_PATTERN}),
            "description": "When it was reached, RFC 3339; the record's timestamp when not given.",
        },
        "datacontenttype": _optional({"type": "string"}),
        "data": _optional(_DATA),
        "data_base64": {
            **_optional(_BASE64),
            "contentEncoding": "base64",
            "contentMediaType": "application/json",
            "description": "The data as JSON in base64, instead of `data`, from clients that were given bytes.",
        },
    },
    "allOf": [
        {
            "if": {"properties": {"type": {"const": FINISHED.event_type}}},
            "then": {"properties": {"data": {"properties": FINISHED_DETAILS}}},
        },
        {
            "if": {"properties": {"data_base64": {"enum": list(NOT_GIVEN)}}},
            "then": {"required": ["data"], "properties": {"data": {"type": "object"}}},
            "else": {"properties": {"data": {"enum": list(NOT_GIVEN)}}},
        },
    ],
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

# Linear-time matching: a crafted value cannot make a pattern backtrack. Its errors quote no value.
VALIDATOR: Final = jsonschema_rs.validator_for(
    dict(SCHEMA), pattern_options=jsonschema_rs.RegexOptions(), mask="a value"
)
# What data must have to name a job, whatever else is wrong with the event.
NAMING_VALIDATOR: Final = jsonschema_rs.validator_for(
    {
        "type": "object",
        "required": _DATA["required"],
        "properties": {name: _DATA["properties"][name] for name in (*_DATA["required"], "attempt")},
    },
    pattern_options=jsonschema_rs.RegexOptions(),
)


class JobEvent(NamedTuple):
    """An event that was understood: canonical identity, sortable time, and the details its stage may carry."""

    identity: JobIdentity
    stage: Stage
    time: str
    source: str
    id: str
    details: Mapping[str, Any]


def first_fault(event: Mapping[str, Any]) -> tuple[str, str]:
    """Return where an event first breaks the schema, and how, quoting no value of it; ValueError when it is valid."""
    try:
        VALIDATOR.validate(_outline(event))
    except jsonschema_rs.ValidationError as error:
        path = ".".join(map(str, error.instance_path))
        kind = error.kind
        if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
            return f"{path}.{kind.property}".strip("."), "missing"
        if (path, kind.name) == ("data", "enum"):
            return "data_base64", "given beside data"
        rule = "type" if getattr(kind, "limit", None) == 0 else kind.name  # what must be empty is of a wrong type
        return path, f"does not meet the schema's {rule}"
    raise ValueError("the event is valid")


def _outline(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an event that is valid when the event is, with the same first fault, and of limited size.

    An error holds a copy of the value that it is about, so a large one would cost more than all of decoding.
    """
    outline = {name: _cut(value) for name, value in event.items() if name in SCHEMA["properties"]}
    if isinstance(data := event.get("data"), dict):
        outline["data"] = {name: _cut(value) for name, value in data.items() if name in _MEMBERS}
    return outline


def _cut(value: Any) -> Any:
    if isinstance(value, list):
        return [None if isinstance(item, list | dict) else item for item in value[: MAX_OUTPUTS + 1]]
    return {} if isinstance(value, dict) else value
