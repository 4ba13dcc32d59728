"""Streams whose process is killed or ends, and clients that are too many, too slow or gone; with real processes."""

import asyncio
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from api.streams import session
from api.web import budget
from tests.support.api_process import server
from tests.support.applying import Applying
from tests.support.client import STREAM, Client, StartApi
from tests.support.event_source import event_source
from tests.support.nginx import NGINX, nginx
from tests.support.seeding import Projection
from tests.support.waiting import until

OWNER = "owner=0x1111"
LEAVING = 300
SECONDS = 30


@pytest.fixture
async def applying(redis: Any, projection: Projection) -> Applying:
    """What applies events to the test's own projection."""
    await projection.delete()
    applying = Applying(redis, projection.prefix)
    await applying.open()
    return applying


async def counted(api: Client, sample: str) -> float:
    """Return a measurement of the API."""
    text = (await api.get("/metrics")).body.decode()
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(sample)), 0.0)


async def test_a_killed_process_loses_nothing(redis_url: str, applying: Applying, tmp_path: Path) -> None:
    """Who goes on at another process with the last id is told what happened meanwhile, and no snapshot."""
    await applying.report("started")
    settings = {"REDIS_URL": redis_url, "REDIS_PREFIX": applying.prefix}
    with server(tmp_path, **settings) as killed:
        async with event_source(await killed.address(), OWNER) as source:
            await source.is_joined()
            killed.process.kill()
            await source.closed()
            assert "bye" not in source.names
    await applying.report("running")
    with server(tmp_path, **settings) as other:
        async with event_source(await other.address(), OWNER, Last_Event_ID=source.last_id or "") as again:
            assert [item["job"]["status"] for item in await again.has("status")] == [3]
            await applying.report("finished")
            await again.has("status", 2)
            assert again.told == ["status", "status"]
            other.process.send_signal(signal.SIGTERM)
            await again.closed()
            assert again.names[-1] == "bye"
            assert again.named("bye") == [{"reason": "drain"}]
        assert other.process.wait(SECONDS) == 0


async def test_a_client_that_never_reads_is_cut(api: Client, applying: Applying) -> None:
    """What waits for one client is bounded; it is cut, is counted, and the others are told everything."""
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((api.host, api.port))
        deaf.send(f"GET {STREAM}?{OWNER} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with event_source(api, OWNER) as source:
            await source.is_joined()
            outputs = [f"http://example.net/{number}/{'x' * 1900}" for number in range(100)]
            number = 0
            while not await counted(api, 'api_streams_ended_total{how="slow"}'):
                number += 1
                await applying.report("started", f"job-{number}", outputsURL=outputs)
                assert number < 200
            await source.has("status", number)
    assert await counted(api, 'api_streams_ended_total{how="slow"}') == 1


async def test_a_snapshot_that_there_is_no_room_for_is_not_sent(
    start_api: StartApi, applying: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When clients have left too much unread in all, one that lets its snapshot lie is sent away, and is counted."""
    monkeypatch.setattr(budget, "UNFINISHED_BYTES", 1000)
    outputs = [f"http://example.net/{number}/{'x' * 1900}" for number in range(100)]
    for number in range(60):
        await applying.report("started", f"job-{number}", outputsURL=outputs)
    api = await start_api(applying.prefix)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((api.host, api.port))
        deaf.send(f"GET {STREAM}?{OWNER} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

        async def is_counted() -> bool:
            return await counted(api, 'api_streams_ended_total{how="limit"}') == 1

        await until(is_counted, "it was sent away", SECONDS)


async def test_clients_that_leave_at_once_leave_nothing(start_api: StartApi, applying: Applying) -> None:
    """When hundreds go away in the same moment, their places are free again at once."""
    api = await start_api(applying.prefix, API_STREAMS_PER_ADDRESS=str(LEAVING))
    writers = []
    for _ in range(LEAVING):
        _, writer = await asyncio.open_connection(api.host, api.port)
        writer.write(f"GET {STREAM}?{OWNER} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        writers.append(writer)

    async def are_open() -> bool:
        return await counted(api, "api_streams_open") == LEAVING

    async def are_gone() -> bool:
        return await counted(api, "api_streams_open") == 0

    await until(are_open, "all are open", SECONDS)
    for writer in writers:
        writer.transport.abort()
    await until(are_gone, "all are gone", SECONDS)
    assert await counted(api, 'api_streams_ended_total{how="left"}') == LEAVING
    async with event_source(api, OWNER) as source:
        await source.has("snapshot")


@pytest.mark.parametrize(
    ("setting", "named", "headers"),
    [
        ("API_STREAMS", "this process", {}),
        ("API_STREAMS_PER_ADDRESS", "your address", {}),
        ("API_STREAMS_PER_CREDENTIAL", "these credentials", {"Authorization": "Bearer sesame-sesame-16"}),
    ],
)
async def test_streams_are_bounded(
    start_api: StartApi, applying: Applying, setting: str, named: str, headers: dict[str, str]
) -> None:
    """One stream too many is 429 with when to come again, and a place that was left is free."""
    api = await start_api(applying.prefix, API_ADMIN_TOKENS="sesame-sesame-16", **{setting: "2"})
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await (await stack.enter_async_context(event_source(api, OWNER, **headers))).has("snapshot")
        refused = await api.request("GET", f"{STREAM}?{OWNER}", headers)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
        assert refused.error == f"Too many streams are open for {named}: 2 at most"
        assert (await api.jobs(OWNER)) == []

    async def is_free() -> bool:
        return await counted(api, "api_streams_open") == 0

    await until(is_free, "the places are free")
    async with event_source(api, OWNER, **headers) as source:
        await source.has("snapshot")


async def test_clients_behind_a_known_proxy_are_told_apart(start_api: StartApi, applying: Applying) -> None:
    """The limit is for each address that a trusted proxy names, whatever the client wrote in front of it."""
    limits = {"API_STREAMS_PER_ADDRESS": "1"}
    trusting = await start_api(applying.prefix, API_PROXIES="127.0.0.0/8,::1", **limits)
    other = await start_api(applying.prefix, **limits)
    for api, status in ((trusting, 200), (other, 429)):
        async with event_source(api, OWNER, X_Forwarded_For="10.0.0.1, 192.0.2.1") as first:
            await first.has("snapshot")
            async with event_source(api, OWNER, X_Forwarded_For="10.0.0.1, 192.0.2.2") as second:
                assert second.status == status
            async with event_source(api, OWNER, X_Forwarded_For="10.0.0.9, 192.0.2.1") as again:
                assert again.status == 429


async def test_a_stream_expires_and_is_gone_on_with(start_api: StartApi, applying: Applying) -> None:
    """However long a client stays, it is moved now and then, and misses nothing."""
    api = await start_api(applying.prefix, API_STREAM_SECONDS="0.5")
    async with event_source(api, OWNER) as source:
        await source.closed()
        assert source.events[-1][:2] == ("bye", {"reason": "expired"})
    await applying.report("started")
    async with event_source(api, OWNER, Last_Event_ID=source.last_id or "") as again:
        await again.has("status")


async def test_a_silent_stream_says_that_it_is_there(
    api: Client, applying: Applying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream with nothing to tell moves its client's id past what others were told, and says how fresh all is."""
    assert session.BOOKMARK_SECONDS < 15
    monkeypatch.setattr(session, "BOOKMARK_SECONDS", 0.05)
    async with event_source(api, OWNER) as source:
        await source.is_joined()
        first = source.last_id
        await applying.report("started", "foreign", owner="0x9999")

        async def has_moved() -> bool:
            return source.last_id != first and "Projection-Lag: 0" in source.comments

        await until(has_moved, "the id has moved")
        assert source.told == ["snapshot"]


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
async def test_curl_behind_a_proxy_walks_to_the_end(
    api: Client, applying: Applying, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through nginx, with TLS and below a prefix, a stream outlives the proxy's patience and walks to its end."""
    monkeypatch.setattr(session, "BOOKMARK_SECONDS", 0.3)
    with nginx(tmp_path, [urlsplit(api.url).netloc], {"proxy_read_timeout 60s": "proxy_read_timeout 1s"}) as proxy:
        url = f"{proxy.url}{STREAM}?jobId=3333"
        curl = await asyncio.create_subprocess_exec(
            "curl", "--no-buffer", "--silent", "--insecure", url, stdout=asyncio.subprocess.PIPE
        )
        assert curl.stdout is not None
        lines: list[str] = []
        reading = asyncio.create_task(read_lines(curl.stdout, lines))
        await until(lambda: tells(lines, "event: snapshot"), "the snapshot came", SECONDS)
        await asyncio.sleep(1.5)  # longer than the proxy waits for somebody who says nothing
        for stage, status in (("started", 1), ("running", 3), ("finished", 5)):
            await applying.report(stage)
            await until(lambda status=status: tells(lines, f'"status":{status}'), stage, SECONDS)  # type: ignore[misc]
        async with asyncio.timeout(SECONDS):
            assert await curl.wait() == 0
            await reading
    assert lines[-3:-1] == ["event: end", 'data: {"jobs":1}']


async def read_lines(output: asyncio.StreamReader, lines: list[str]) -> None:
    """Keep the lines as they come."""
    while line := await output.readline():
        lines.append(line.decode().rstrip("\n"))


async def tells(lines: list[str], text: str) -> bool:
    """Tell whether one of the lines has this."""
    return any(text in line for line in lines)
