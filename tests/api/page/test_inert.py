"""The page does what it was made for, whatever jobs are called and whatever they say."""

import re

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.support.client import Client
from tests.support.page import ended, search
from tests.support.seeding import Job, Projection

pytestmark = [pytest.mark.server, pytest.mark.group("page"), pytest.mark.asyncio(loop_scope="session")]

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
QUOTING = "'\"`${alert(1)}&amp;?owner=0x9#x"
ADDRESSES = (
    "javascript:alert(1)",
    "data:text/html,x",
    "//elsewhere.example",
    "http:no-host",
    " https://padded.example",
)


async def test_names_and_messages_are_text_and_never_markup(page: Page, projection: Projection) -> None:
    """A job that is called like a piece of HTML, and says one, is shown so in every view, and does nothing."""
    hostile = ended("failed", job_id=HOSTILE, error=HOSTILE, message=HOSTILE)
    await projection.put([hostile, Job(agreement_id=HOSTILE, job_id=QUOTING), Job(job_id="../../x")])
    await search(page, "0x1111")
    await expect(page.locator("#jobs .job")).to_have_count(3)
    await expect(page.get_by_title(QUOTING, exact=True)).to_be_visible()
    await page.get_by_title(HOSTILE, exact=True).click()
    await expect(page.locator("#error pre")).to_have_text(HOSTILE)
    assert await page.locator("#job-name button").get_attribute("data-copy") == HOSTILE
    await search(page, QUOTING)
    await expect(page.locator("#trail")).to_contain_text("0x1111")
    await search(page, HOSTILE)
    await expect(page.locator("#choices a")).to_have_count(2)
    await expect(page.locator("main img, main script, main iframe")).to_have_count(0)


async def test_only_http_is_followed(page: Page, projection: Projection) -> None:
    """An address that leads to anything but http or https is text, not a link."""
    await projection.put([ended("succeeded", job_id="3333", outputsURL=[*ADDRESSES, "https://example.net/1"])])
    await search(page, "3333")
    await expect(page.locator("#links li")).to_have_count(len(ADDRESSES) + 1)
    await expect(page.locator("#links a")).to_have_text(["https://example.net/1"])


async def test_a_crafted_address_of_the_page_does_nothing(page: Page, api: Client) -> None:
    """What somebody puts into the page's address is a question and nothing else."""
    await page.goto(
        f"{api.url}/?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&step=%22%3E&order=__proto__&attempt=%3Cb%3E"
    )
    await expect(page.get_by_role("heading", name="No job matches")).to_be_visible()
    await expect(page.locator("main img")).to_have_count(0)


async def test_nothing_is_fetched_from_elsewhere(page: Page, api: Client, projection: Projection) -> None:
    """All that the page loads and asks comes from the API that served it, and the token is in no address."""
    await projection.put([ended("succeeded", job_id="3333", outputsURL=["https://example.net/1"])])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.reload()
    await page.get_by_text("More", exact=True).click()
    await page.fill("#token", "sesame-sesame-16")
    await search(page, "3333")
    await expect(page.locator("#links a")).to_have_count(1)
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((f"{api.url}/", "data:")) or "sesame" in url] == []


async def test_what_the_page_may_do_is_its_own_files(api: Client) -> None:
    """The policy lets in scripts and styles of the API alone, none that is inline, and no text becomes markup."""
    page = await api.get("/")
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
    text = page.body.decode()
    assert not re.search(r"<[^>]+\s(on\w+|style)=|<style|<script(?![^>]* src=)", text)
    assert not re.search(r"(src|href)=[\"']?(/|https?:)", text)  # relative, so right behind whatever prefix


async def test_the_policy_holds(context: BrowserContext, api: Client) -> None:
    """The browser itself refuses to make markup of a text, also when it is our own script that tries."""
    page = await context.new_page()
    await page.goto(api.url)
    refused = await page.evaluate("""() => {
        try { document.body.innerHTML = "<b>x</b>"; return "" } catch (error) { return error.name }
    }""")
    assert refused == "TypeError"
