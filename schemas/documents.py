"""What is published of the shapes: OpenAPI, with the schemas that the code uses put in, AsyncAPI and JSON Schema.

`asyncapi.json` and `job-event.json` are whole as files, for those who read them without this code;
`python -m tests.schemas.published` writes into them what the code says of events.
"""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from schemas import job_status, job_timeline

STATUS_PATH: Final = "/api/v1/operator/status"
TIMELINE_PATH: Final = "/api/v1/operator/status/timeline"
STREAM_PATH: Final = "/api/v1/operator/status/events"
TICKET_PATH: Final = "/api/v1/operator/status/events/ticket"


def openapi(version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.2 description of the HTTP API in this version."""
    document = _document("openapi.json")
    document["components"]["schemas"] |= {
        schema["title"]: without_dialect(schema) for schema in (job_status.SCHEMA, job_timeline.SCHEMA)
    }
    lists, timeline = (document["paths"][path] for path in (STATUS_PATH, TIMELINE_PATH))
    timeline["get"] = _alike(lists["get"], timeline["get"])
    document["info"]["version"] = version
    return document


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 description of the topics."""
    return _document("asyncapi.json")


def event_schema() -> dict[str, Any]:
    """Return the JSON Schema of an event in structured mode."""
    return _document("job-event.json")


def without_dialect(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema as it stands inside of a document, which names the dialect itself."""
    return {key: value for key, value in schema.items() if key != "$schema"}


def _alike(operation: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return another operation that is as the first one, but for what it says itself of the answer."""
    responses = dict(sorted((operation["responses"] | other["responses"]).items()))
    responses["200"] = operation["responses"]["200"] | other["responses"]["200"]
    return {**operation, **other, "responses": responses}


def _document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((files("schemas") / name).read_text(encoding="utf-8"))
    return document
