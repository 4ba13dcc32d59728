"""The page behind the nginx of `deploy/nginx.conf`, with a path prefix."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, expect

from tests.support.client import STATUS, Client
from tests.support.nginx import NGINX, nginx
from tests.support.page import Heartbeat, closed, opened
from tests.support.seeding import Job, Projection

pytestmark = [
    pytest.mark.server,
    pytest.mark.group("page"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not NGINX, reason="nginx is not installed"),
]

MANY, PAGE_JOBS = 1_030, 1_000


async def test_the_page_turns_over_behind_the_prefix(
    browser: Browser, api: Client, projection: Projection, heartbeat: Heartbeat, tmp_path: Path
) -> None:
    """The page finds its files, the API and older jobs behind the prefix, and what is unchanged is not sent again."""
    del heartbeat
    await projection.put_many_alike(Job(), (f"job-{number:04d}" for number in range(MANY)))
    context = await browser.new_context(ignore_https_errors=True)
    with nginx(tmp_path, [urlsplit(api.url).netloc]) as proxy:
        async with opened(context, f"{proxy.url}?owner=0x1111") as page:
            assert page.url == f"{proxy.url}/?owner=0x1111"
            await expect(page.locator("#jobs .job")).to_have_count(PAGE_JOBS)
            await expect(page.locator("#state")).to_have_text(re.compile("Live|Asked"))
            async with page.expect_response(lambda answer: STATUS in answer.url and answer.status == 304):
                await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # looked at again, it asks
            await page.get_by_role("link", name="Older jobs").click()
            await expect(page.locator("#jobs .job")).to_have_count(MANY - PAGE_JOBS)
            assert urlsplit(page.url).path == "/ops/"
    await closed(context)
