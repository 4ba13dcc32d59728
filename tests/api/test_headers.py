"""The headers that every response has."""

import re

import pytest

from tests.support.client import STATUS, Client, StartApi
from tests.support.seeding import Projection

TARGETS = [f"{STATUS}?owner=0x1", STATUS, "/nothing", "/livez", "/readyz", "/metrics", "/openapi.json", "/"]
EXPOSED = {
    "ETag", "Link", "Retry-After", "X-Request-Id", "Projection-Lag", "Projection-Heartbeat", "Projection-Held",
    "Projection-Generation", "Projection-Cursor", "Projection-Position",
    "WWW-Authenticate",
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
async def test_every_response_has_the_common_headers(api: Client, method: str, target: str) -> None:
    """Whatever is asked, answers and errors alike say what they depend on, what may be read, and who they are."""
    headers = (await api.request(method, target, {"Origin": "https://example.net"})).headers
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Vary"] == "Authorization, Accept-Encoding, Origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Server"] == "operator-status"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert {name.strip() for name in headers["Access-Control-Expose-Headers"].split(",")} == EXPOSED
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", headers["X-Request-Id"])
    assert "Access-Control-Allow-Credentials" not in headers


async def test_a_requests_own_id_comes_back(api: Client) -> None:
    """An id of the request comes back when it is of harmless characters, else a fresh one; no two are the same."""
    for given in ("a", "Trace-1._x", "x" * 128):
        assert (await api.get("/livez", X_Request_Id=given)).headers["X-Request-Id"] == given
    fresh = {(await api.get("/livez")).headers["X-Request-Id"] for _ in range(5)}
    fresh |= {
        (await api.get("/livez", X_Request_Id=given)).headers["X-Request-Id"]
        for given in ("a b", "x" * 129, "ü", "<x>", "")
    }
    assert len(fresh) == 10
    assert not fresh & {"a b", "x" * 129, "ü", "<x>", ""}


async def test_a_browser_may_ask_before_it_asks(api: Client) -> None:
    """The preflight says which methods and headers may be sent, and for how long that holds."""
    headers = {"Origin": "https://example.net", "Access-Control-Request-Method": "GET",
               "X-Request-Id": "r1"}  # fmt: skip
    answer = await api.request("OPTIONS", f"{STATUS}?owner=0x1", headers)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Methods"] == answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    allowed = answer.headers["Access-Control-Allow-Headers"]
    assert {"Authorization", "If-None-Match", "X-Request-Id", "Last-Event-ID"} <= set(allowed.split(", "))
    assert int(answer.headers["Access-Control-Max-Age"]) > 0


@pytest.mark.parametrize("asked", ["content-type", "traceparent,tracestate", "x-anything, If-None-Match"])
async def test_a_page_may_send_whatever_headers_its_libraries_send(api: Client, asked: str) -> None:
    """The preflight names back what is asked for, and never allows credentials of the browser's own."""
    headers = {"Origin": "https://example.net", "Access-Control-Request-Method": "GET"}
    answer = await api.request("OPTIONS", STATUS, headers | {"Access-Control-Request-Headers": asked})
    assert (answer.status, answer.headers["Access-Control-Allow-Headers"]) == (204, asked)
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("target", ["/nothing", f"{STATUS}/", f"{STATUS}/x?owner=0x1", "/livez"])
async def test_a_page_may_learn_that_nothing_is_there(api: Client, target: str) -> None:
    """A preflight is granted for every path, and what is answered afterwards can be read, a 404 too."""
    origin = {"Origin": "https://example.net", "Access-Control-Request-Headers": "authorization"}
    preflight = await api.request("OPTIONS", target, origin)
    assert (preflight.status, preflight.headers["Access-Control-Allow-Headers"]) == (204, "authorization")
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    answer = await api.get(target, Origin="https://example.net")
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200 if target == "/livez" else 404, "*")


async def test_a_preflight_that_asks_for_no_names_is_answered(api: Client) -> None:
    """What cannot be names of headers is not named back."""
    answer = await api.request("OPTIONS", STATUS, {"Access-Control-Request-Headers": "a<b>"})
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


async def test_only_named_origins_may_read_when_some_are_named(start_api: StartApi, projection: Projection) -> None:
    """With origins named, each of them is let in by name and no other."""
    api = await start_api(projection.prefix, API_CORS_ORIGINS="https://a.example, https://b.example:8443")
    for origin, allowed in {
        "https://a.example": "https://a.example",
        "https://b.example:8443": "https://b.example:8443",
        "https://a.example.evil": None,
        "http://a.example": None,
        "null": None,
    }.items():
        for target in TARGETS:
            answer = await api.get(target, Origin=origin)
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    assert "Access-Control-Allow-Origin" not in (await api.get("/livez")).headers


async def test_header_names_are_spelled_as_the_contract_spells_them(api: Client) -> None:
    """Names come as the contract writes them, for those who compare them by letter."""
    sent = f"GET {STATUS}?owner=0x1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await api.raw(sent.encode())
    for name in (b"ETag", b"X-Request-Id", b"Projection-Lag", b"Projection-Heartbeat", b"Projection-Generation"):
        assert b"\r\n" + name + b": " in answer
