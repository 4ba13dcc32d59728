"""What arrives over the wire: paths, methods, headers and bytes that nobody should send."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator

import orjson
import pytest

from api.asking.query import NO_FILTER
from api.web import server
from tests.support.client import STATUS, TIMELINE, Client, StartApi
from tests.support.seeding import Job, Projection
from tests.support.waiting import until

PATHS = (STATUS, TIMELINE, "/livez", "/readyz", "/metrics", "/openapi.json", "/")
HOST = b"Host: x\r\n"


def parts(answer: bytes) -> tuple[int, bytes, bytes]:
    """Return status, head and body of a raw answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), head, body


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/v1/operator/status/", "//api/v1/operator/status", "/api//v1/operator/status", "/status",
     "/api/v1/operator/%2e%2e/operator/status", "/api/v1/operator/../operator/status", "/api/v1/operator/statu%73",
     "/API/v1/operator/status", "/api/v1/operator/status;x=1", "/livez/", "//", "/..", "/%00",
     "/api/v1/operator/status/x"],
)  # fmt: skip
async def test_a_path_has_one_spelling(api: Client, path: str) -> None:
    """Another spelling of a path is another path, which does not exist."""
    for method in ("GET", "HEAD", "DELETE"):
        status, head, body = parts(
            await api.raw(f"{method} {path}?owner=0x1 HTTP/1.1\r\nConnection: close\r\n".encode() + HOST + b"\r\n")
        )
        assert (status, body and orjson.loads(body)) == (404, b"" if method == "HEAD" else {"error": "Not found"})
        assert b"X-Request-Id" in head


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
async def test_other_methods_are_refused(api: Client, method: str, path: str) -> None:
    """A method that no path knows gets 405 and the methods that it does know."""
    answer = await api.request(method, f"{path}?owner=0x1")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert "Method not allowed" in answer.error


async def test_a_method_nobody_ever_heard_of_is_refused_too(api: Client) -> None:
    """An unknown method gets 405 with `Allow`, as JSON."""
    for method in (b"BREW", b"get", b"G@T"):
        status, head, body = parts(await api.raw(method + b" /livez HTTP/1.1\r\n" + HOST + b"\r\n"))
        assert status == 405
        assert b"Allow: GET, HEAD, OPTIONS" in head
        assert "error" in orjson.loads(body)


@pytest.mark.parametrize("path", PATHS)
async def test_head_is_get_without_the_body(api: Client, projection: Projection, path: str) -> None:
    """HEAD answers with what GET answers with, except the body."""
    await projection.put([Job()])
    got, head = await api.get(f"{path}?owner=0x1111"), await api.request("HEAD", f"{path}?owner=0x1111")
    assert (head.status, head.body) == (got.status, b"")
    assert got.headers.keys() == head.headers.keys()
    varying = {"date", "x-request-id"} | ({"content-length"} if path == "/metrics" else set())
    for name, value in got.headers.items():
        assert name.lower() in varying or head.headers[name] == value


@pytest.mark.parametrize("headers", [{"X-HTTP-Method-Override": "DELETE"}, {"X-Method-Override": "POST"}])
async def test_method_overrides_are_ignored(api: Client, headers: dict[str, str]) -> None:
    """A header that asks for another method changes nothing."""
    answer = await api.request("GET", f"{STATUS}?owner=0x1&_method=DELETE", headers)
    assert (answer.status, answer.body) == (200, b"[]")


async def test_errors_are_json_with_one_member(api: Client) -> None:
    """Every error is `{"error": "..."}`, and the contract's own sentence is given to the letter."""
    answer = await api.get(STATUS)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/json")
    assert answer.body == b'{"error":"You have to specify one of agreementId, jobId or owner"}'
    assert (await api.get(f"{TIMELINE}?x=1")).error == NO_FILTER
    for query in ("owner=", "owner=0x1&owner=0x1", "owner=%ff", "owner=0x1&limit=0", "owner=0x1&cursor=abc"):
        assert (await api.status(query)).status == 400


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer no", "bearer undefined", "Bearer " + "x" * 8192, "Bearer sésame"]
)
async def test_bad_credentials_are_refused(api: Client, authorization: str) -> None:
    """Tokens that nobody has are refused with 401 and how to do better, whatever is asked."""
    for target in (f"{STATUS}?owner=0x1", STATUS, f"{TIMELINE}?jobId=1"):
        raw = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {authorization}\r\n\r\n"
        status, head, body = parts(await api.raw(raw.encode()))
        assert (status, orjson.loads(body)) == (401, {"error": "The credentials are not valid"})
        assert b"WWW-Authenticate: Bearer" in head


async def test_two_credentials_and_bytes_that_are_no_text_are_refused(api: Client) -> None:
    """Two `Authorization` headers, both good, are refused; so are bytes that are not UTF-8."""
    for lines in (b"Authorization: Bearer sesame-sesame-16\r\n" * 2, b"Authorization: Bearer \xff\xfe\r\n"):
        sent = f"GET {STATUS}?owner=0x1 HTTP/1.1\r\nConnection: close\r\n".encode() + HOST + lines + b"\r\n"
        assert parts(await api.raw(sent))[0] == 401


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: 1\r\n" % number for number in range(200)) + b"\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET livez HTTP/1.1\r\n" + HOST + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"<script>alert(1)</script>\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused_as_json(api: Client, sent: bytes) -> None:
    """Bytes beyond the limits, or that are not HTTP, get an error of ours that quotes nothing of them."""
    status, head, body = parts(await api.raw(sent))
    assert status in {400, 405}
    assert list(orjson.loads(body)) == ["error"]
    assert b"Server: operator-status" in head
    assert b"script" not in body
    assert (await api.get("/livez")).status == 200


@pytest.mark.parametrize("upgrade", ["websocket", "TLS/1.0", "h2c, websocket"])
async def test_upgrades_are_refused(api: Client, upgrade: str) -> None:
    """A client that wants another protocol is told that there is none."""
    headers = {"Upgrade": upgrade, "Connection": "Upgrade", "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"}
    answer = await api.request("GET", f"{STATUS}?owner=0x1", headers)
    assert (answer.status, answer.error) == (400, "Upgrade is not supported")


async def test_an_offer_of_http2_is_let_pass(api: Client) -> None:
    """Java's client offers HTTP/2 on each connection; it is answered in HTTP/1.1."""
    answer = await api.request(
        "GET", f"{STATUS}?owner=0x1", {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings"}
    )
    assert answer.status == 200


async def test_a_body_on_get_is_ignored(api: Client) -> None:
    """A body that nobody asked for changes nothing, and the connection goes on when all of it came."""
    request = f"GET {STATUS}?owner=0x1 HTTP/1.1\r\nContent-Length: 9\r\n".encode() + HOST
    answer = await api.raw(request + b"\r\nowner=0x2" + request + b"Connection: close\r\n\r\nowner=0x2")
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.endswith(b"[]")


async def test_a_proxys_absolute_target_is_understood(api: Client) -> None:
    """A target may be written with scheme and host."""
    sent = f"GET http://x{STATUS}?owner=0x1 HTTP/1.1\r\nConnection: close\r\n".encode() + HOST + b"\r\n"
    assert parts(await api.raw(sent))[::2] == (200, b"[]")


async def test_pipelined_requests_are_answered_in_their_order(api: Client, projection: Projection) -> None:
    """Requests sent without waiting are answered one after the other, in their order."""
    await projection.put(Job(job_id=f"job-{number}") for number in range(50))
    sent = b"".join(f"GET {STATUS}?jobId=job-{number} HTTP/1.1\r\n".encode() + HOST + b"\r\n" for number in range(50))
    answer = await api.raw(sent + b"GET / HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
    places = [answer.index(f'"jobId":"job-{number}"'.encode()) for number in range(50)]
    assert places == sorted(places)


GOOD = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"
OFFER = b"Connection: Upgrade\r\nUpgrade: "


@pytest.mark.parametrize(
    "bad", [b"GET x\r\n\r\n", b"GET /livez HTTP/1.1\r\n\r\n", b"GET /" + b"x" * 9000 + b"\r\n\r\n"]
)
@pytest.mark.parametrize("number", [1, 40])
async def test_what_is_wrong_behind_good_requests_does_not_concern_them(api: Client, bad: bytes, number: int) -> None:
    """Good requests in the same bytes as a bad one are answered first; then the bad one is, and the connection ends."""
    answer = await api.raw(GOOD * number + bad + GOOD)
    assert answer.count(b"HTTP/1.1 200 OK") == number
    _, _, last = answer.rpartition(b"HTTP/1.1 ")
    assert last.startswith(b"400 ")
    assert b"Connection: close" in last


async def test_a_request_behind_an_offer_of_http2_is_answered(api: Client) -> None:
    """The offer is let pass, and so is what comes behind it in the same bytes."""
    offer = b"GET /livez HTTP/1.1\r\n" + HOST + OFFER + b"h2c\r\n\r\n"
    answer = await api.raw(offer + GOOD + offer + b"GET /livez HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (b"GET /livez HTTP/1.1\r\n" + HOST + OFFER + b"websocket\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n" + HOST + OFFER + b"h2c\r\nContent-Length: 2\r\n\r\nab", 200),
        (b"CONNECT x:1 HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 999\r\n\r\n", 200),
        (b"GET /livez HTTP/1.0\r\n\r\n", 200),
        (b"GET /livez\r\n\r\n", 400),
        (b"GET /livez HTTP/0.9\r\n\r\n", 400),
        (b"GET /livez HTTP/2.0\r\n" + HOST + b"\r\n", 400),
    ],
)
async def test_where_nobody_knows_what_follows_the_connection_ends(api: Client, first: bytes, status: int) -> None:
    """Where the next request begins is not known, or no other may follow: one answer, which says so, and no more."""
    answer = await api.raw(first + GOOD)
    assert parts(answer)[0] == status
    assert answer.count(b"HTTP/1.") == 1
    assert b"Connection: close" in answer or b"HTTP/1.0" in first


@pytest.mark.parametrize(
    "first",
    [
        b"HEAD /livez HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"If-None-Match: *\r\n\r\n",
        b"OPTIONS /livez HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"Content-Length: 8\r\n\r\n\r\n\r\n\r\n\r\n",
        b"POST /livez HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    ],
)
async def test_what_has_no_body_or_an_odd_one_can_be_followed(api: Client, first: bytes) -> None:
    """Answers without a body and requests with one keep their places in a pipeline."""
    answer = await api.raw(first + GOOD + b"GET /nothing HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
    assert [part.partition(b" ")[0] for part in re.split(rb"HTTP/1\.[01] ", answer)[2:]] == [b"200", b"404"]


async def test_half_a_request_costs_a_connection_for_a_while_only(start_api: StartApi, projection: Projection) -> None:
    """A client that never finishes its request, or never begins one, loses its connection; others are answered."""
    api = await start_api(projection.prefix, API_KEEPALIVE_SECONDS="0.2")
    slow = [
        asyncio.create_task(api.raw(sent)) for sent in (b"", b"GET /li", b"GET /livez HTTP/1.1\r\nHost: x\r\n") * 50
    ]
    assert (await api.get("/livez")).status == 200
    ends = await asyncio.gather(*slow, return_exceptions=True)  # reset, when something was still unread
    assert [end for end in ends if end != b"" and not isinstance(end, ConnectionResetError)] == []


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux cuts a connection that takes nothing")
async def test_a_client_that_takes_nothing_loses_its_connection(
    start_api: StartApi, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that asks for much and reads nothing does not hold memory and a connection for ever."""
    monkeypatch.setattr(server, "STALLED_MILLISECONDS", 300)
    await projection.put(Job(job_id=f"job-{number}") for number in range(900))
    api = await start_api(projection.prefix)
    loop = asyncio.get_running_loop()
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.settimeout(0)
        await loop.sock_connect(stalled, (api.host, api.port))
        await loop.sock_sendall(stalled, (f"GET {STATUS}?owner=0x1111 HTTP/1.1\r\n".encode() + HOST + b"\r\n") * 100)

        async def is_served(tasks: int) -> bool:
            return sum("RequestHandler" in repr(task.get_coro()) for task in asyncio.all_tasks()) == tasks

        await until(lambda: is_served(2), "the connection has its tasks: its requests, and one of them")
        await until(lambda: is_served(0), "the connection is cut")


@pytest.fixture
async def probe(api: Client) -> AsyncIterator[Client]:
    """An API whose connections are all closed again after the test."""
    yield api
    assert (await api.get("/livez")).status == 200


async def test_clients_that_go_away_leave_nothing_behind(probe: Client, projection: Projection) -> None:
    """Hundreds of clients that disconnect while they are answered disturb nobody."""
    await projection.put(Job(job_id=f"job-{number}") for number in range(900))

    async def leave() -> None:
        _, writer = await asyncio.open_connection(probe.host, probe.port)
        writer.write(f"GET {STATUS}?owner=0x1111 HTTP/1.1\r\n".encode() + HOST + b"\r\n")
        await writer.drain()
        writer.transport.abort()

    tasks = len(asyncio.all_tasks())
    for _ in range(10):
        await asyncio.gather(*(leave() for _ in range(50)))
    assert len(await probe.jobs("owner=0x1111")) == 900

    async def is_quiet() -> bool:
        return len(asyncio.all_tasks()) <= tasks + 3

    await until(is_quiet, "the tasks of clients that left are gone")
