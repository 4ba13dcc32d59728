"""`python -m api` as an operator runs it: start, workers, metrics, end, and the exit codes."""

import asyncio
import os
import re
import signal
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from api import command_line
from service.version import __version__
from tests.support.api_process import END_SECONDS, Server, run, server
from tests.support.client import STATUS, Client
from tests.support.seeding import Job, Projection
from tests.support.waiting import until


async def test_one_process_from_start_to_end(redis_url: str, projection: Projection, tmp_path: Path) -> None:
    """It logs its address in one line, answers, measures, and ends with 0 on SIGTERM."""
    await projection.put([Job()])
    with server(tmp_path, REDIS_URL=redis_url, REDIS_PREFIX=projection.prefix) as running:
        async with Client(await running.address()) as api:
            await projection.stand({"job-events/0": 3}, {"job-events/0": 5})  # by now, for it is soon too old
            assert len(await api.jobs("owner=0x1111")) == 1
            assert (await api.get(STATUS)).status == 400
            metrics = (await api.get("/metrics")).body.decode()
        assert running.end() == 0
        assert running.log.count("listening") == 1
    assert f'api_request_seconds_count{{route="{STATUS}",status="200"}} 1.0' in metrics
    assert f'api_request_seconds_count{{route="{STATUS}",status="400"}} 1.0' in metrics
    assert "api_queries_per_round_trip_count 1.0" in metrics
    assert "api_projection_lag_events 2.0" in metrics
    assert re.search(r"^asyncio_tasks [1-9]\d*\.0$", metrics, re.MULTILINE)


async def test_a_request_under_way_is_finished(redis_url: str, projection: Projection, tmp_path: Path) -> None:
    """A stream that a client is reading when the end is asked for comes whole."""
    await projection.put_many_alike(Job(), (f"job-{number}" for number in range(20_000)))
    with server(tmp_path, REDIS_URL=redis_url, REDIS_PREFIX=projection.prefix) as running:
        async with Client(await running.address()) as api:
            async with api.session.get(
                f"{api.url}{STATUS}?owner=0x1111", headers={"Accept-Encoding": "identity"}
            ) as answer:
                body = await answer.content.readany()
                running.process.send_signal(signal.SIGTERM)
                body += await answer.read()
            assert body.endswith(b"}]")
            assert body.count(b'"jobId"') == 20_000
        assert running.process.wait(END_SECONDS) == 0


async def test_a_client_that_stops_reading_does_not_stop_the_end(
    redis_url: str, projection: Projection, tmp_path: Path
) -> None:
    """A client that takes nothing delays the end by the limit, not for ever."""
    await projection.put_many_alike(Job(), (f"job-{number}" for number in range(20_000)))
    with server(tmp_path, REDIS_URL=redis_url, REDIS_PREFIX=projection.prefix) as running:
        async with Client(await running.address()) as api:
            reader, writer = await asyncio.open_connection(api.host, api.port, limit=1024)
            writer.write(f"GET {STATUS}?owner=0x1111 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await reader.readexactly(100)
            running.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(running.process.wait, END_SECONDS) == 0
            writer.close()


async def test_workers_share_the_port_and_the_measurements(
    redis_url: str, projection: Projection, tmp_path: Path
) -> None:
    """Workers answer on one port and measure together; one that dies is replaced; all end with the parent."""
    await projection.put([Job()])
    with server(tmp_path, "--workers", "2", REDIS_URL=redis_url, REDIS_PREFIX=projection.prefix) as running:
        address = await running.address()
        await until(lambda: logged(running, "listening", 2), "both listen", 30)
        for _ in range(20):  # a connection of its own each, so that both get some
            async with Client(address) as api:
                assert len(await api.jobs("owner=0x1111")) == 1
        async with Client(address) as api:
            metrics = (await api.get("/metrics")).body.decode()
            assert f'api_request_seconds_count{{route="{STATUS}",status="200"}} 20.0' in metrics
            assert f'api_build_info{{version="{__version__}"}} 1.0' in metrics
        first, second = workers(running.process.pid)
        os.kill(first, signal.SIGKILL)
        await until(lambda: logged(running, "listening", 3), "another one listens", 30)
        assert re.search(rf"a worker died and is started again pid={first} ended=SIGKILL ", running.log)
        assert second in workers(running.process.pid)
        assert first not in workers(running.process.pid)
        started = workers(running.process.pid)
        assert await asyncio.to_thread(running.end, signal.SIGINT) == 0
        assert not any(is_running(pid) for pid in started)


async def test_workers_follow_an_api_that_has_just_ended(redis_url: str, tmp_path: Path) -> None:
    """Connections that an API closed keep nobody from its port."""
    with server(tmp_path, REDIS_URL=redis_url) as running:
        async with Client(await running.address()) as api:
            await api.get("/livez")
            port = str(api.port)
            assert await asyncio.to_thread(running.end) == 0  # it closes the connection, whose end then waits a minute
    with server(tmp_path, "--workers", "2", REDIS_URL=redis_url, API_PORT=port) as running:
        await until(lambda: logged(running, "listening", 2), "both listen", 30)
        assert await asyncio.to_thread(running.end) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_every_address_of_both_families(redis_url: str, tmp_path: Path, workers: str) -> None:
    """With API_HOST=:: clients of IPv6 and of IPv4 are answered."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this system has not both families")
    with server(tmp_path, "--workers", workers, API_HOST="::", REDIS_URL=redis_url) as running:
        port = (await running.address()).rpartition(":")[2]
        for host in ("127.0.0.1", "[::1]"):
            async with Client(f"http://{host}:{port}") as api:
                assert (await api.get("/livez")).status == 200


async def test_workers_do_not_outlive_their_parent(redis_url: str, tmp_path: Path) -> None:
    """When the parent is killed its workers end by themselves."""
    with server(tmp_path, "--workers", "2", REDIS_URL=redis_url) as running:
        await until(lambda: logged(running, "listening", 2), "both listen", 30)
        started = workers(running.process.pid)
        running.process.kill()

        async def are_gone() -> bool:
            return not any(is_running(pid) for pid in started)

        await until(are_gone, "the workers are gone")


async def logged(running: Server, word: str, times: int) -> bool:
    """Tell whether a word was logged so many times."""
    assert running.process.poll() is None, running.log
    return running.log.count(word) >= times


def workers(parent: int) -> list[int]:
    """Return the processes that serve for a parent."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def is_running(pid: int) -> bool:
    """Tell whether a process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.server
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_told(workers: str) -> None:
    """When its port is taken the process ends with 75 and a sentence, alone or with workers."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        code, told = run("--workers", workers, API_PORT=str(port))
    assert code == 75
    assert f"cannot listen on 127.0.0.1 port {port} (Address already in use)" in told
    assert "Traceback" not in told


def test_wrong_settings_are_told_together() -> None:
    """All faults of the settings are told at once, with exit code 2 and before anything starts."""
    code, told = run(
        "--api-auth", "perhaps", API_PORT="x", REDIS_URL="http://x", API_ADMIN_TOKENS="sesame open, sesame"
    )
    assert code == 2
    assert all(name in told for name in ("API_PORT", "API_AUTH", "REDIS_URL", "API_ADMIN_TOKENS"))
    assert "sesame-sesame-16" not in told
    assert CliRunner().invoke(command_line.api, ["--workers", "0"]).exit_code == 2


def test_help_tells_every_setting() -> None:
    """`--help` names every option with its environment variable."""
    told = CliRunner().invoke(command_line.api, ["--help"]).output
    for name in ("API_HOST", "API_PORT", "API_ADMIN_TOKENS", "API_AUTH", "API_CORS_ORIGINS", "REDIS_URL", "--workers"):
        assert name in told
