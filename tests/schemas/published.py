"""What the published files say of events, made from the code; `python -m tests.schemas.published` writes it there."""

import json
from pathlib import Path
from typing import Any

from schemas import job_event
from schemas.documents import asyncapi, without_dialect

PROJECT = Path(__file__).parents[2]


def published() -> dict[str, Any]:
    """Return the content of each file, by its path."""
    events = asyncapi()
    events["components"]["schemas"] |= {job_event.SCHEMA["title"]: without_dialect(job_event.SCHEMA)}
    return {
        "schemas/asyncapi.json": events,
        "schemas/job-event.json": job_event.SCHEMA,
        "operator_status/job-event.json": job_event.SCHEMA,  # what workers install is a project of its own
    }


def text(content: Any) -> str:
    """Return a file's text."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, content in published().items():
        (PROJECT / name).write_text(text(content), encoding="utf-8")
