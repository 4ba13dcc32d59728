"""How far what is shown can be trusted is said plainly."""

import re
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect

from devstack import free_port
from schemas.redis_layout import FLOOR, META
from tests.support.api_process import server
from tests.support.page import Heartbeat, opened, search
from tests.support.seeding import PARTITION, Job, Projection

pytestmark = [pytest.mark.server, pytest.mark.group("page"), pytest.mark.asyncio(loop_scope="session")]

# Less than how long the page otherwise keeps what it was told of causes.
AT_ONCE_MILLISECONDS = 6_000
DOUBTFUL = re.compile(r"\bdoubtful\b")


async def shows_a_job(page: Page, projection: Projection) -> None:
    """Have the page show a job."""
    await projection.put([Job()])
    await search(page, "0x1111")
    await expect(page.locator("#jobs .job")).to_have_count(1)


async def is_trusted(page: Page) -> None:
    """Wait until the page says that all is well."""
    await expect(page.locator("#alert")).to_be_hidden()
    await expect(page.locator("body")).not_to_have_class(DOUBTFUL)
    await expect(page.locator("#state")).to_have_text(re.compile("Live|Asked every few seconds"))


async def test_while_the_api_has_no_answer(page: Page, projection: Projection) -> None:
    """While the API answers 503 the page says why, and that what it has is old, until there is an answer again."""
    await shows_a_job(page, projection)
    await projection.redis.delete(projection.key(META))
    await expect(page.get_by_role("alert")).to_contain_text("The projection is gone from the store")
    await expect(page.get_by_role("alert")).to_contain_text("What is shown was answered")
    await expect(page.locator("body")).to_have_class(DOUBTFUL)
    await expect(page.locator("#jobs .job")).to_have_count(1)
    await projection.begin()
    await is_trusted(page)


async def test_while_the_projection_is_rebuilt(page: Page, projection: Projection) -> None:
    """While the projection is filled again the page shows how far it is."""
    await shows_a_job(page, projection)
    await projection.redis.hset(projection.key(META), FLOOR + PARTITION, "4")
    await expect(page.get_by_role("alert")).to_contain_text("built again from the log")
    await expect(page.get_by_role("progressbar")).to_have_js_property("value", 25)
    await expect(page.locator("#state")).to_have_text("Rebuilding")
    await projection.redis.hdel(projection.key(META), FLOOR + PARTITION)
    await is_trusted(page)


async def test_while_nobody_projects(page: Page, projection: Projection, heartbeat: Heartbeat) -> None:
    """When no projector has confirmed what is shown for a while the page says since when, until one does."""
    await shows_a_job(page, projection)
    await is_trusted(page)
    await heartbeat.stop()
    await projection.stand({}, {PARTITION: 1}, age=60_000)
    await expect(page.get_by_role("alert")).to_contain_text(
        re.compile("no projector has confirmed it.*Last confirmed 1 min")
    )
    await expect(page.locator("body")).to_have_class(DOUBTFUL)
    heartbeat.start()
    await is_trusted(page)


async def test_a_cause_that_is_over_is_not_shown_on(page: Page, projection: Projection, heartbeat: Heartbeat) -> None:
    """What is no more confirmed is a job's cause at once, and none at once when it is confirmed again."""
    await projection.put([Job(job_id="3333")])
    await search(page, "3333")
    await is_trusted(page)
    await heartbeat.stop()
    await projection.stand({}, {PARTITION: 1}, age=60_000)
    await expect(page.locator("#causes")).to_contain_text("PROJECTION:STALE")
    heartbeat.start()
    await is_trusted(page)
    await expect(page.locator("#causes")).not_to_contain_text("PROJECTION:STALE", timeout=AT_ONCE_MILLISECONDS)


async def test_while_events_wait(page: Page, projection: Projection, heartbeat: Heartbeat) -> None:
    """How many events are not shown yet is said beside what is shown."""
    heartbeat.end = 3
    await projection.stand({PARTITION: 1}, {PARTITION: 3})
    await shows_a_job(page, projection)
    await expect(page.locator("#state")).to_contain_text("2 events behind")


async def test_an_api_that_is_killed_and_started_again(
    context: BrowserContext, redis_url: str, projection: Projection, heartbeat: Heartbeat, tmp_path: Path
) -> None:
    """When the API is killed the page says that it tries again, and goes on with what changed when it is back."""
    del heartbeat
    settings = {"REDIS_URL": redis_url, "REDIS_PREFIX": projection.prefix, "API_PORT": str(free_port())}
    await projection.put([Job(), Job(job_id="4444")])
    with server(tmp_path, **settings) as running:
        async with opened(context, f"{await running.address()}/?owner=0x1111") as page:
            await expect(page.locator("#jobs .job")).to_have_count(2)
            running.process.kill()
            await expect(page.locator("#state")).to_have_text("Reconnecting…")
            await expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
            await expect(page.locator("#jobs .job")).to_have_count(2)
            running.process.wait()
            await projection.put([Job(job_id="5555")])
            with server(tmp_path, **settings) as again:
                await again.address()
                await expect(page.locator("#jobs .job")).to_have_count(3)
                await is_trusted(page)


async def test_what_is_no_answer_of_the_api(page: Page, projection: Projection) -> None:
    """Something between that answers instead of the API is no answer: what is shown stays, and is doubted."""
    await page.route("**/status/events?**", lambda route: route.abort())
    await shows_a_job(page, projection)
    await page.route("**/status?**", lambda route: route.fulfill(status=200, body="<html>not the API</html>"))
    await expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    await page.unroute("**/status?**")
    await is_trusted(page)
