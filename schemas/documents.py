"""The OpenAPI and AsyncAPI documents, with the schemas that the code itself uses put in."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from schemas import job_event, job_status, job_timeline


def openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of the HTTP API."""
    return _document("openapi.json", job_status.SCHEMA, job_timeline.SCHEMA)


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 description of the topics."""
    return _document("asyncapi.json", job_event.SCHEMA)


def _document(name: str, *schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with these schemas among its components, each under its title and without its dialect."""
    document: dict[str, Any] = json.loads((files("schemas") / name).read_text(encoding="utf-8"))
    document["components"]["schemas"] |= {
        schema["title"]: {key: value for key, value in schema.items() if key != "$schema"} for schema in schemas
    }
    return document
