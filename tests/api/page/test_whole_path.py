"""The page on the whole system: a job is reported to Kafka, and its page says where it is and why."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import BrowserContext, expect

from tests.support.deployment import Deployment
from tests.support.events import event
from tests.support.page import opened, search

pytestmark = [
    pytest.mark.server,
    pytest.mark.long(150),
    pytest.mark.group("page"),
    pytest.mark.asyncio(loop_scope="session"),
]

LIMITS = "started=2s,silent=2s"
RECOVERY_MILLISECONDS = 60_000  # Kafka waits for the killed one before it gives its partitions to another


def now(ahead: timedelta = timedelta()) -> str:
    """Return the time, or one ahead of it, as an event has it."""
    return (datetime.now(UTC) + ahead).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_page_says_why_its_job_is_where_it_is(context: BrowserContext, deployment: Deployment) -> None:
    """A silent worker, a report that is refused and a projector that is gone are each said on the open page."""
    projector = await asyncio.to_thread(deployment.start_projector)
    address = await asyncio.to_thread(deployment.start_api, STAGE_LIMITS=LIMITS)
    async with opened(context, address) as page:
        await expect(page.locator("#state")).to_have_text("")
        await search(page, "job-1")
        await deployment.send(event("started", job="job-1", time=now()), 0)
        await expect(page.locator("#where")).to_contain_text("Job started")
        await expect(page.locator("#causes")).to_contain_text("WORKER:NEVER_STARTED")
        await expect(page.locator("#look-now")).to_contain_text("Overdue")
        await deployment.send(event("running", job="job-1", time=now(timedelta(days=3)), event_id="ahead"), 0)
        await expect(page.locator("#causes")).to_contain_text("EVENTS:REFUSED")
        await expect(page.locator("#refused")).to_contain_text("Refused reports")
        await deployment.send(event("running", job="job-1", time=now(), event_id="right"), 0)
        await expect(page.locator(".axis tr.now")).to_contain_text("Running algorith")
        projector.kill()
        await expect(page.get_by_role("alert")).to_contain_text("no projector has confirmed it")
        await expect(page.locator("#causes")).to_contain_text("PROJECTION:STALE")
        await asyncio.to_thread(deployment.start_projector)
        await deployment.send(event("finished", job="job-1", time=now(), outcome="failed", error="no memory"), 0)
        await expect(page.locator("#look-now")).to_contain_text("Failed", timeout=RECOVERY_MILLISECONDS)
        await expect(page.locator("#error pre")).to_have_text("no memory")
        await expect(page.locator("#state")).to_have_text(re.compile("All finished|Live"))
