"""The documents the API serves: its own description, that of the events, and the status page."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Final

import orjson
from multidict import CIMultiDict

from api.exchange import Answer
from schemas.documents import asyncapi, event_schema, openapi
from schemas.lifecycle import STAGE_NAMES
from service.version import __version__

_STAGES: Final = "__STAGES__"
_INLINE: Final = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


def openapi_document() -> Answer:
    """Return the OpenAPI description."""
    return Answer(orjson.dumps(openapi(__version__)), CIMultiDict())


def asyncapi_document() -> Answer:
    """Return the AsyncAPI description of the events."""
    return Answer(orjson.dumps(asyncapi()), CIMultiDict())


def event_schema_document() -> Answer:
    """Return the JSON Schema of an event."""
    return Answer(orjson.dumps(event_schema()), CIMultiDict())


def status_page() -> Answer:
    """Return the status page."""
    page = (
        (files("api.web") / "page.html")
        .read_text(encoding="utf-8")
        .replace(_STAGES, orjson.dumps(STAGE_NAMES).decode())
    )
    headers = {"Content-Security-Policy": content_security_policy(page), "Referrer-Policy": "no-referrer"}
    return Answer(page.encode(), CIMultiDict(headers), "text/html; charset=utf-8")


def content_security_policy(page: str) -> str:
    """Return the policy under which the page's own script and style run, and nothing else does."""
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, content in _INLINE.findall(page):
        hashes[kind].append(f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'")
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(hashes['script'])}",
            f"style-src {' '.join(hashes['style'])}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
