"""The two documents the API serves: its OpenAPI description and the status page."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Final

import orjson
from aiohttp import hdrs, web
from multidict import CIMultiDict

from api.web.responses import JSON, respond
from api.web.site import Handler
from schemas.documents import openapi
from schemas.lifecycle import STAGE_NAMES

_STAGES: Final = "__STAGES__"
_INLINE: Final = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


def openapi_route() -> Handler:
    """Return the handler of the OpenAPI description."""
    return _document(orjson.dumps(openapi()), {hdrs.CONTENT_TYPE: JSON})


def page_route() -> Handler:
    """Return the handler of the status page."""
    page = (
        (files("api.web") / "page.html")
        .read_text(encoding="utf-8")
        .replace(_STAGES, orjson.dumps(STAGE_NAMES).decode())
    )
    return _document(
        page.encode(),
        {
            hdrs.CONTENT_TYPE: "text/html; charset=utf-8",
            "Content-Security-Policy": content_security_policy(page),
            "Referrer-Policy": "no-referrer",
        },
    )


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


def _document(body: bytes, headers: dict[str, str]) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return respond(request, body, CIMultiDict(headers))

    return answer
