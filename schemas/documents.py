"""The OpenAPI document, with the schemas that the code itself uses put in."""

import json
from importlib.resources import files
from typing import Any

from schemas import job_status, job_timeline


def openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of the HTTP API."""
    document: dict[str, Any] = json.loads((files("schemas") / "openapi.json").read_text())
    document["components"]["schemas"] |= {
        schema["title"]: {name: value for name, value in schema.items() if name != "$schema"}
        for schema in (job_status.SCHEMA, job_timeline.SCHEMA)
    }
    return document
