"""The page can be used by everybody: what axe-core finds, on each view, wide and narrow, light and dark."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from schemas.redis_layout import META
from tests.support.client import Client
from tests.support.page import Heartbeat, closed, ended, opened, reached
from tests.support.seeding import Job, Projection

pytestmark = [pytest.mark.server, pytest.mark.group("page"), pytest.mark.asyncio(loop_scope="session")]

SIZES = {"wide": (1280, 900), "phone": (360, 740)}


@pytest_asyncio.fixture(
    params=[("wide", "light"), ("wide", "dark"), ("phone", "light")], ids="-".join, loop_scope="session"
)
async def page(
    request: pytest.FixtureRequest, browser: Browser, api: Client, heartbeat: Heartbeat
) -> AsyncIterator[Page]:
    """The page in a window of this size and these colours."""
    del heartbeat
    size, scheme = request.param
    width, height = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    async with opened(context, api.url) as page:
        yield page
    await closed(context)


async def violations(page: Page) -> list[str]:
    """Return what axe-core finds, as texts."""
    found = (await Axe().run(page)).response["violations"]
    return [f"{each['id']}: {[node['html'] for node in each['nodes']][:3]}" for each in found]


async def test_every_view_can_be_used_by_everybody(page: Page, api: Client, projection: Projection) -> None:
    """Start, list, job, nothing found and a warning have nothing that axe-core finds fault with."""
    assert await violations(page) == []
    failed = ended(
        "failed", job_id="3333", error="out of memory", message="epoch 12", outputsURL=["https://example.net/1"]
    )
    await projection.put([failed, ended("cancelled"), ended("succeeded", without="uploading")])
    await projection.put(
        [Job(job_id="running", stages=reached(3)), Job(job_id="running", attempt=2, stages=reached(2))]
    )
    await page.goto(f"{api.url}/?owner=0x1111")
    await expect(page.locator("#jobs .job")).to_have_count(4)
    await page.get_by_role("button", name="Show 1 earlier").click()
    assert await violations(page) == []
    await page.get_by_text("More", exact=True).click()
    for job_id in ("3333", "running"):
        await page.goto(f"{api.url}/?jobId={job_id}")
        await expect(page.locator("#job-name")).to_have_text(job_id)
        await page.get_by_text("As JSON").click()
        assert await violations(page) == []
    await projection.redis.delete(projection.key(META))
    await expect(page.get_by_role("alert")).to_be_visible()
    assert await violations(page) == []
    await projection.begin()
    await page.goto(f"{api.url}/?jobId=nothing")
    await expect(page.get_by_role("heading", name="No job matches")).to_be_visible()
    assert await violations(page) == []
