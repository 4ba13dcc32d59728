"""The code of the HTTP page for programs, run by Node against the API, before, between and after what jobs report."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.client import Client
from tests.support.links import Link
from tests.support.markdown import DOCS, blocks
from tests.support.seeding import FINISHED_JOB, Job, Projection
from tests.support.waiting import until

ADDRESS = "http://127.0.0.1:8080"
SECONDS = 20
pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")


class Follower:
    """The page's code in a process of its own, and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process, output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def printed(self) -> list[str]:
        """The lines it has printed."""
        return self._output.read_text().splitlines()

    @property
    def is_running(self) -> bool:
        """Whether it still follows."""
        return self._process.returncode is None

    async def end(self) -> int:
        """Return its exit code."""
        async with asyncio.timeout(SECONDS):
            return await self._process.wait()


@pytest.fixture
async def link(api: Client) -> AsyncIterator[Link]:
    """An address of the API that nothing listens at yet."""
    assert api.port
    link = Link("api", api.port)
    yield link
    await link.stop()


@pytest.fixture
async def follower(link: Link, tmp_path: Path) -> AsyncIterator[Follower]:
    """The page's code, which asks at the link for the job that it names."""
    [code] = [block.text for block in blocks(DOCS / "http.md") if block.language == "js" and ADDRESS in block.text]
    with (tmp_path / "printed").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            "node", "--eval", code.replace(ADDRESS, f"http://127.0.0.1:{link.port}"), stdout=output, stderr=output
        )
        yield Follower(process, tmp_path / "printed")
        if process.returncode is None:
            process.kill()
            await process.wait()


def last_is(follower: Follower, text: str) -> Callable[[], Awaitable[bool]]:
    """Return what tells whether it last printed this."""

    async def tells() -> bool:
        return follower.printed[-1:] == [text]

    return tells


async def test_the_code_follows_a_job_from_before_it_began_through_broken_networks(
    api: Client, link: Link, follower: Follower, projection: Projection
) -> None:
    """It waits for an API that is away and for the first event, asks again after cuts, and ends with the job."""

    async def has_asked() -> bool:
        return b'route="/api/v1/operator/status",status="200"' in (await api.get("/metrics")).body

    await asyncio.sleep(0.5)  # it finds nothing at the address
    await link.start()
    await until(has_asked, "it asks", SECONDS)
    assert follower.is_running
    assert follower.printed == []
    await projection.put([Job(job_id="4444")])
    await until(last_is(follower, "Job started"), "it tells of the start", SECONDS)
    link.cut_after(700)
    await projection.put(
        [Job(job_id="4444", stages={"started": "2020-10-01T01:00:00Z", "running": "2020-10-01T01:01:00Z"})]
    )
    await until(last_is(follower, "Running algorith"), "it tells of the run, after the cut", SECONDS)
    link.close_all()
    await projection.put([Job(job_id="4444", stages=FINISHED_JOB.stages)])
    assert await follower.end() == 0
    assert follower.printed == ["Job started", "Running algorith", "Job finished"]


async def test_the_code_ends_when_it_is_refused(link: Link, follower: Follower) -> None:
    """What asking again cannot mend ends it, with an error."""
    server = await asyncio.start_server(refuse, "127.0.0.1", link.port)
    async with server:
        assert await follower.end() == 1
    assert any("refused with 401" in line for line in follower.printed)


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer 401."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await writer.drain()
    writer.close()
