"""The OpenAPI and AsyncAPI documents, with the schemas that the code itself uses put in."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

from schemas import job_event, job_status, job_timeline

PACKAGE: Final = "operator-status"
STATUS_PATH: Final = "/api/v1/operator/status"
TIMELINE_PATH: Final = "/api/v1/operator/status/timeline"


def openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of the HTTP API."""
    document = _document("openapi.json", job_status.SCHEMA, job_timeline.SCHEMA)
    lists, timeline = (document["paths"][path] for path in (STATUS_PATH, TIMELINE_PATH))
    timeline["get"] = _alike(lists["get"], timeline["get"])
    document["info"]["version"] = version(PACKAGE)
    return document


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 description of the topics."""
    return _document("asyncapi.json", job_event.SCHEMA)


def _alike(operation: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return another operation that is as the first one, but for what it says itself of the answer."""
    responses = dict(operation["responses"])
    responses["200"] = responses["200"] | other["responses"]["200"]
    return {**operation, **other, "responses": responses}


def _document(name: str, *schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with these schemas among its components, each under its title and without its dialect."""
    document: dict[str, Any] = json.loads((files("schemas") / name).read_text(encoding="utf-8"))
    document["components"]["schemas"] |= {
        schema["title"]: {key: value for key, value in schema.items() if key != "$schema"} for schema in schemas
    }
    return document
