"""The stream's own code of the README and of the HTTP page, run by a browser and by Node, against the API."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.applying import Applying
from tests.support.browser import CHROMIUM
from tests.support.client import STREAM, Client, StartApi
from tests.support.markdown import DOCS, README, blocks
from tests.support.seeding import Projection
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import Page

ADDRESS = "http://127.0.0.1:8080"
SECONDS = 20.0
STAGES = ("started", "running", "finished")
TEXTS = ["Job started", "Running algorith", "Job finished"]


def code_with(text: str) -> str:
    """Return the code of the page that has this in it."""
    [code] = [block.text for block in blocks(DOCS / "http.md") if text in block.text and block.language != "html"]
    return code


@asynccontextmanager
async def empty_page() -> AsyncIterator["Page"]:
    """Yield an empty page of a browser of its own."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - the fast tests do without a browser's driver

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        yield await browser.new_page()


@pytest.fixture
async def applying(redis: Any, projection: Projection) -> Applying:
    """What applies events to the test's own projection."""
    await projection.delete()
    applying = Applying(redis, projection.prefix)
    await applying.open()
    return applying


@pytest.mark.group("page")
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed")
async def test_a_browser_streams_a_job_by_the_pages_code(api: Client, applying: Applying) -> None:
    """It shows each stage as it comes, and closes when the job has finished."""
    polling = code_with("async function follow").partition(f'follow("{ADDRESS}')[0]
    async with empty_page() as page:
        shown: list[str] = []
        page.on("console", lambda message: shown.append(message.text) if message.type == "log" else None)
        await page.goto(f"{api.url}/livez")
        show = "(jobs) => jobs.length && console.log(jobs[0].statusText)"
        await page.add_script_tag(content=f"{polling}\n{code_with('function stream(')}")
        await page.evaluate(f"stream('{api.url}', 'jobId=3333', {show})")
        for number, stage in enumerate(STAGES):
            await applying.report(stage)
            await until(lambda number=number: has_shown(shown, TEXTS[number]), stage, SECONDS)  # type: ignore[misc]
        assert list(dict.fromkeys(shown)) == TEXTS


@pytest.mark.group("page")
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed")
@pytest.mark.parametrize("streams", [1, 0], ids=("streamed", "asked"))
async def test_the_lines_of_the_readme_follow_a_job(
    start_api: StartApi, applying: Applying, projection: Projection, streams: int
) -> None:
    """A page on another origin shows each stage, by a stream or, where that is refused, by asking again and again."""
    api = await start_api(projection.prefix, API_STREAMS=str(streams))
    elsewhere = await start_api(projection.prefix)
    [code] = [block.text for block in blocks(README) if block.language == "javascript"]
    async with empty_page() as page:
        shown: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: shown.append(message.text) if message.type == "log" else None)
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{elsewhere.url}/livez")
        await page.add_script_tag(content=code.replace(ADDRESS, api.url), type="module")
        for number, stage in enumerate(STAGES):
            await applying.report(stage, "4444")
            await until(lambda number=number: has_shown(shown, TEXTS[number]), stage, SECONDS)  # type: ignore[misc]
        assert list(dict.fromkeys(shown)) == TEXTS
        assert bool(streams) == all(STREAM in url for url in asked if url.startswith(api.url))


async def has_shown(shown: list[str], text: str) -> bool:
    """Tell whether this was shown."""
    return text in shown


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
async def test_a_program_reads_a_stream_by_the_pages_code(api: Client, applying: Applying) -> None:
    """Every event comes with its name, its data and its id, until the end."""
    code = code_with("async function* events")
    code += f"""
    for await (const {{ event, id, data }} of events("{api.url}{STREAM}?jobId=3333", {{}})) {{
      if (event) console.log(event, Boolean(id), JSON.parse(data).jobs ?? "");
    }}"""
    node = await asyncio.create_subprocess_exec(
        "node", "--input-type=module", "--eval", code, stdout=asyncio.subprocess.PIPE
    )
    assert node.stdout is not None
    async with asyncio.timeout(SECONDS):
        assert (await node.stdout.readline()).split()[0] == b"snapshot"
        for stage in STAGES:
            await applying.report(stage)
        lines = (await node.stdout.read()).decode().split("\n")
    assert lines[-2] == "end true 1"
    assert {line.split()[0] for line in lines[:-2]} == {"status"}
    assert await node.wait() == 0
