"""The page on the stream of changes."""

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.support.client import Client, StartApi
from tests.support.page import Heartbeat, ToldProjection, ended, opened, reached, search
from tests.support.seeding import Job

pytestmark = [pytest.mark.server, pytest.mark.group("page"), pytest.mark.asyncio(loop_scope="session")]

CONFIRMED_MILLISECONDS = 15_000  # half of what a page rests when all has ended


async def is_live(page: Page) -> None:
    """Wait until the page is told of changes as they happen."""
    await expect(page.locator("#state")).to_have_text("Live")


async def test_changes_arrive_without_asking(page: Page, projection: ToldProjection) -> None:
    """Jobs that are new, that change and that are let go are shown so while the list is not asked for again."""
    await projection.put([Job(), Job(job_id="4444")])
    await search(page, "0x1111")
    await is_live(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/status?" in request.url else None)
    await projection.put([Job(job_id="5555", stages=reached(2))])
    await expect(page.locator("#jobs .job")).to_have_count(3)
    await projection.put([ended("failed", job_id="4444")])
    await expect(page.locator("#summary")).to_have_text("3 jobs: 2 running, 1 failed")
    await projection.remove(Job(job_id="5555"))
    await expect(page.locator("#jobs .job")).to_have_count(2)
    assert asked == []


async def test_an_admins_page_is_live_by_a_ticket(
    context: BrowserContext, start_api: StartApi, projection: ToldProjection, heartbeat: Heartbeat
) -> None:
    """Where credentials are needed the stream is opened by a ticket: the token is in no address."""
    del heartbeat
    api = await start_api(projection.prefix, API_ADMIN_TOKENS="sesame-sesame-16", API_AUTH="required")
    await projection.put([Job(details={"configlogURL": "http://example.net/config.log"})])
    async with opened(context, api.url) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.get_by_text("More", exact=True).click()
        await page.fill("#token", "sesame-sesame-16")
        await search(page, "3333")
        await is_live(page)
        await projection.put([Job(stages=reached(2), details={"configlogURL": "http://example.net/other.log"})])
        await expect(page.locator("#links")).to_contain_text("http://example.net/other.log")
        assert [url for url in asked if "sesame" in url] == []
        assert any("ticket=" in url for url in asked)


async def test_a_stream_that_is_refused_is_done_without(page: Page, projection: ToldProjection) -> None:
    """Where there is no stream the page asks every few seconds, and says that it does."""
    await page.route("**/status/events?**", lambda route: route.fulfill(status=404, json={"error": "Nothing is here"}))
    await projection.put([Job()])
    await search(page, "3333")
    await expect(page.locator("#state")).to_have_text("Asked every few seconds")
    await projection.put([Job(stages=reached(3))])
    await expect(page.locator("#where")).to_contain_text("Running algorith")


async def test_a_job_that_has_ended_is_said_to_have(page: Page, projection: ToldProjection) -> None:
    """When all jobs of a question have ended nothing more is waited for, but another attempt is noticed."""
    await projection.put([Job()])
    await search(page, "3333")
    await is_live(page)
    await projection.put([ended("succeeded", job_id="3333")])
    await expect(page.locator("#state")).to_have_text("All finished")
    await expect(page.locator("#look-now")).to_contain_text("Succeeded")


async def test_a_job_that_has_ended_while_nobody_confirmed_it_is_confirmed_soon(
    page: Page, projection: ToldProjection, heartbeat: Heartbeat
) -> None:
    """A job can end before what is shown is confirmed again, and no stream is left then to say that it is."""
    await projection.put([Job()])
    await search(page, "3333")
    await is_live(page)
    await heartbeat.stop()
    await expect(page.locator("#state")).to_have_text("Out of date")
    await projection.put([ended("succeeded", job_id="3333")])
    await expect(page.locator("#look-now")).to_contain_text("Succeeded")
    await expect(page.locator("#state")).to_have_text("Out of date")
    heartbeat.start()
    await expect(page.locator("#state")).to_have_text("All finished", timeout=CONFIRMED_MILLISECONDS)


async def test_a_page_that_is_not_looked_at_keeps_no_connection(page: Page, projection: ToldProjection) -> None:
    """A hidden page gives its stream back, and shows what happened meanwhile as soon as it is looked at again."""
    turn = """state => {
        Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await projection.put([Job()])
    await search(page, "3333")
    await is_live(page)
    await page.evaluate(turn, "hidden")
    await expect(page.locator("#state")).to_have_text("Asked every few seconds")
    await projection.put([Job(stages=reached(3))])
    await page.evaluate(turn, "visible")
    await is_live(page)
    await expect(page.locator("#where")).to_contain_text("Running algorith")


async def test_another_generation_is_shown_from_its_beginning(
    page: Page, api: Client, projection: ToldProjection
) -> None:
    """When the projection was built anew under an open page what it shows is the new one, whole."""
    del api
    await projection.put([Job(), Job(job_id="4444")])
    await search(page, "0x1111")
    await is_live(page)
    projection.generation = 2
    await projection.begin()
    await projection.put([Job(), Job(job_id="5555"), Job(job_id="6666")])
    await expect(page.locator("#jobs .job")).to_have_count(3)
    await expect(page.get_by_title("4444", exact=True)).to_have_count(0)
