"""The access log: which requests have a line, and what it says, and does not say."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from api.access_log import CUT, LEFT, AccessLog
from tests.support.api_process import END_SECONDS, Server, server
from tests.support.client import STATUS, Client
from tests.support.seeding import Job, Projection
from tests.support.waiting import until

SESAME = "sesame-sesame-16"
ADMIN = {"Authorization": f"Bearer {SESAME}"}


def requests(running: Server) -> list[dict[str, Any]]:
    """Return the lines of the access log."""
    lines = [json.loads(line) for line in running.log.splitlines()]
    return [line for line in lines if line["event"] == "request"]


async def test_each_request_has_a_line_that_names_nobody(
    redis_url: str, projection: Projection, tmp_path: Path
) -> None:
    """In mode all a line has id, method, route, status, time, bytes and role, and no value of a query, nor a token."""
    await projection.put([Job()])
    settings = {"API_ACCESS_LOG": "all", "LOG_FORMAT": "json", "API_ADMIN_TOKENS": SESAME}
    with server(tmp_path, REDIS_URL=redis_url, REDIS_PREFIX=projection.prefix, **settings) as running:
        address = await until(lambda: _address(running), "it listens", 30)
        async with Client(address) as api:
            answers = [
                await api.request("GET", f"{STATUS}?owner=0x1111", ADMIN),
                await api.request("HEAD", f"{STATUS}?owner=0x1111"),
                await api.request("GET", f"{STATUS}?owner=0x1111", {"Authorization": "Bearer no-such-token"}),
                await api.request("GET", "/0x1111/secret"),
                await api.request("STEAL", "/livez"),
                await api.request("GET", "/livez", {"X-Request-Id": "chosen"}),
            ]
            broken = await api.raw(b"GET /0x1111 HTP\r\n\r\n")
        assert running.end() == 0
    lines = requests(running)
    assert [(line["method"], line["path"], line["status"], line["role"]) for line in lines] == [
        ("GET", STATUS, 200, "admin"),
        ("HEAD", STATUS, 200, "anyone"),
        ("GET", STATUS, 401, "none"),
        ("GET", "unknown", 404, "anyone"),
        ("other", "unknown", 405, "anyone"),
        ("GET", "/livez", 200, "anyone"),
        ("other", "unknown", 400, "anyone"),
    ]
    assert [line["request_id"] for line in lines[:-1]] == [answer.headers["X-Request-Id"] for answer in answers]
    assert lines[-1]["request_id"].encode() in broken
    assert [line["bytes"] for line in lines[:-1]] == [len(answer.body) for answer in answers]
    assert all(0 <= line["milliseconds"] < 10_000 for line in lines)
    assert not any("ended" in line for line in lines)
    assert not any(secret in running.log for secret in ("0x1111", SESAME, "no-such-token", "STEAL"))


async def test_an_error_is_found_by_its_id(redis_url: str, projection: Projection, tmp_path: Path) -> None:
    """In mode errors, which is the default, a 503 has its line, and what went well or was asked wrongly has none."""
    await projection.begin({"job-events/0": 5})
    with server(tmp_path, REDIS_URL=redis_url, REDIS_PREFIX=projection.prefix, LOG_FORMAT="json") as running:
        address = await until(lambda: _address(running), "it listens", 30)
        async with Client(address) as api:
            refused = await api.status("owner=0x1111")
            assert (await api.get("/livez")).status == 200
            assert (await api.get(STATUS)).status == 400
        assert running.end() == 0
    assert refused.status == 503
    (line,) = requests(running)
    assert (line["request_id"], line["path"], line["status"]) == (refused.headers["X-Request-Id"], STATUS, 503)


async def test_a_stream_has_one_line_at_its_end(redis_url: str, projection: Projection, tmp_path: Path) -> None:
    """What became of a stream is told once: it came whole, its client left, or it was stopped by our end."""
    await projection.put_many_alike(Job(), (f"job-{number}" for number in range(20_000)))
    settings = {"API_ACCESS_LOG": "all", "LOG_FORMAT": "json"}
    with server(tmp_path, REDIS_URL=redis_url, REDIS_PREFIX=projection.prefix, **settings) as running:
        address = await until(lambda: _address(running), "it listens", 30)
        async with Client(address) as api:
            whole = await api.status("owner=0x1111")
            async with api.session.get(f"{address}{STATUS}?owner=0x1111") as left:
                await left.content.readany()
                left.close()

            async def two() -> bool:
                return len(requests(running)) == 2

            await until(two, "both have their lines")
            async with api.session.get(
                f"{address}{STATUS}?owner=0x1111", headers={"Accept-Encoding": "identity"}
            ) as stopped:
                await stopped.content.readany()
                running.process.send_signal(signal.SIGTERM)
                assert running.process.wait(END_SECONDS) == 0
    lines = requests(running)
    assert [(line["status"], line.get("ended")) for line in lines] == [(200, None), (200, LEFT), (200, "stopped")]
    assert lines[0]["bytes"] > len(whole.body)
    assert lines[1]["bytes"] < lines[0]["bytes"]


@pytest.mark.parametrize(
    ("status", "ended", "modes"),
    [
        (200, None, {"all"}),
        (499, None, {"all"}),
        (200, LEFT, {"all"}),
        (None, LEFT, {"all"}),
        (500, None, {"all", "errors"}),
        (200, CUT, {"all", "errors"}),
        (None, "stopped", {"all", "errors"}),
    ],
)
def test_which_requests_are_told(status: int | None, ended: str | None, modes: set[str]) -> None:
    """Off tells nothing, errors what is ours to explain, all everything."""
    logs = {mode: AccessLog(mode, lambda _: "anyone") for mode in ("off", "errors", "all")}
    assert {mode for mode, log in logs.items() if log.tells(status, ended)} == modes


async def _address(running: Server) -> str | None:
    """Return where it listens, once it says so."""
    assert running.process.poll() is None, running.log
    lines = [json.loads(line) for line in running.log.splitlines()]
    return next((line["address"] for line in lines if line["event"] == "listening"), None)
