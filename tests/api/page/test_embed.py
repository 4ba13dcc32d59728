"""What pages of others include: the module and the element, on another origin, as the documentation shows them."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, expect

from api.web.server import listen
from tests.support.client import Client
from tests.support.markdown import DOCS, PROJECT, blocks
from tests.support.page import Heartbeat, closed, ended, opened, reached
from tests.support.seeding import FINISHED_JOB, Job, Projection

pytestmark = [pytest.mark.server, pytest.mark.group("page"), pytest.mark.asyncio(loop_scope="session")]

ADDRESS = "http://127.0.0.1:8080"
HOST = "<!DOCTYPE html><html lang='en'><meta charset='utf-8'><title>Host</title><link rel='icon' href='data:,'>"
# What the strictest host has to allow.
POLICY = "default-src 'none'; script-src {0}; connect-src {0}; img-src data:"
Host = Callable[..., Awaitable[str]]


@pytest_asyncio.fixture(loop_scope="session")
async def host(api: Client) -> AsyncIterator[Host]:
    """A site of somebody else's, with a page that holds this."""
    runner = web.ServerRunner(web.Server(lambda _: answer()))
    page = {"text": "", "policy": ""}

    async def answer() -> web.Response:
        headers = {"Content-Security-Policy": page["policy"]} if page["policy"] else {}
        return web.Response(text=page["text"], content_type="text/html", headers=headers)

    async def serve(text: str, policy: str = "") -> str:
        page.update(text=HOST + text.replace(ADDRESS, api.url), policy=policy.format(api.url))
        return f"http://127.0.0.1:{port}/"

    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    await runner.setup()
    await web.SockSite(runner, listener).start()
    yield serve
    await runner.cleanup()


def shown(page: Path) -> list[str]:
    """Return the pieces of HTML that a page of the documentation shows."""
    return [block.text for block in blocks(page) if block.language == "html"]


def element(attributes: str) -> str:
    """Return a page with the element."""
    script = f'<script type="module" src="{ADDRESS}/embed.js"></script>'
    return f"{script}<operator-job-status {attributes}></operator-job-status>"


async def said(page: Page, count: int) -> list[str]:
    """Return the first things that a page's script wrote to the console."""
    await page.wait_for_function("count => window.said.length >= count", arg=count)
    texts: list[str] = await page.evaluate("() => window.said")
    return texts


async def test_the_module_says_how_a_job_got_there_and_how_fresh_that_is(
    browser: Browser, host: Host, projection: Projection, heartbeat: Heartbeat
) -> None:
    """The HTTP page's lines tell outcomes and states."""
    del heartbeat
    await projection.put([ended("failed")])
    context = await browser.new_context()
    await context.add_init_script("window.said = []; console.log = (...told) => window.said.push(JSON.stringify(told))")
    async with opened(context, await host(shown(DOCS / "http.md")[0])) as page:
        texts = await said(page, 2)
        assert '[[["failed","Job finished","failed"]]]' in texts
        assert any(text.startswith(('["polling"', '["live"')) for text in texts)
    await closed(context)


async def test_the_element_as_it_is_documented(
    context: BrowserContext, host: Host, projection: Projection, heartbeat: Heartbeat
) -> None:
    """The documented lines, hash and all, show an owner's newest jobs and one job, and both move by themselves."""
    del heartbeat
    jobs = [Job(job_id=f"job-{number}", stages={"started": f"2020-10-01T02:0{number}:00Z"}) for number in range(6)]
    await projection.put([*jobs, Job(stages=reached(2))])
    async with opened(context, await host(shown(DOCS / "http.md")[1])) as page:
        owner, one = page.locator("operator-job-status").first, page.locator("operator-job-status").last
        await expect(owner.locator("li")).to_have_count(5)
        await expect(owner.locator(".name")).to_have_text([f"job-{number}" for number in (5, 4, 3, 2, 1)])
        await expect(one.locator("li")).to_contain_text("Configuring volumes")
        await projection.put([FINISHED_JOB])
        await expect(one.locator("li")).to_contain_text("Succeeded")
        await expect(one.locator("a")).to_have_text(["Log", "Output 1", "Output 2"])
        assert await one.locator("a").first.get_attribute("rel") == "noopener noreferrer"


async def test_the_hash_in_the_documentation_is_that_of_the_file(api: Client) -> None:
    """The integrity hash that the documentation gives is that of the file at the address that it gives."""
    text = shown(DOCS / "http.md")[1]
    [path], [documented] = re.findall(rf'src="{ADDRESS}(/embed-[^"]+)"', text), re.findall(r'integrity="([^"]+)"', text)
    answer = await api.get(path)
    assert answer.status == 200
    assert documented == "sha384-" + base64.b64encode(hashlib.sha384(answer.body).digest()).decode()
    assert answer.body == (await api.get("/embed.js")).body


async def test_the_element_under_a_strict_policy(
    context: BrowserContext, host: Host, projection: Projection, heartbeat: Heartbeat
) -> None:
    """A host that allows nothing but the API's script and answers shows the element with its style, themed by it."""
    del heartbeat
    await projection.put([ended("failed", job_id="3333", error="<b>out of memory</b>")])
    async with opened(context, await host(element('job-id="3333"'), POLICY)) as page:
        item = page.locator("operator-job-status li")
        await expect(item).to_contain_text("✕ Failed")
        await expect(item).to_contain_text("<b>out of memory</b>")
        look = page.locator("operator-job-status .look")
        colour = "look => getComputedStyle(look).color"
        assert await look.evaluate(colour) == "rgb(179, 32, 31)"
        themed = "element => element.style.setProperty('--operator-status-failed', 'rgb(1, 2, 3)')"
        await page.locator("operator-job-status").evaluate(themed)
        assert await look.evaluate(colour) == "rgb(1, 2, 3)"


async def test_the_element_says_what_is_wrong(context: BrowserContext, host: Host, projection: Projection) -> None:
    """The element says that nothing is asked, that there is no such job, and that what it shows may be out of date."""
    async with opened(context, await host(element(""))) as page:
        state = page.locator("operator-job-status .state")
        await expect(state).to_have_text("Refused: owner, agreement-id or job-id is needed")
        heartbeat = Heartbeat(projection)
        await page.evaluate("() => document.querySelector('operator-job-status').setAttribute('job-id', '3333')")
        await expect(state).to_have_text("No such job yet.")
        await projection.put([Job()])
        await expect(page.locator("operator-job-status li")).to_contain_text("Job started")
        await expect(state).to_be_hidden()
        await heartbeat.stop()
        await projection.stand({}, {"job-events/0": 1}, age=60_000)
        await expect(state).to_have_text("What is shown may be out of date.")


async def test_the_example_shows_jobs(
    context: BrowserContext, host: Host, projection: Projection, heartbeat: Heartbeat
) -> None:
    """The example page shows the newest jobs of its owner and its one job."""
    del heartbeat
    example = (PROJECT / "examples/page/index.html").read_text()
    [owner] = re.findall(r'owner="([^"]+)"', example)
    await projection.put([Job(), Job(owner, job_id="4444")])
    async with opened(context, await host(example)) as page:
        await expect(page.locator("operator-job-status li .name")).to_have_text(["4444", "3333"])
