"""The status page, in a real browser."""

import base64
import hashlib
import re
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import META
from tests.support.client import Client
from tests.support.seeding import FINISHED_JOB, PARTITION, Job, Projection

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("page")]

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
]  # fmt: skip
MILLISECONDS = 10_000
EXPECTED = re.compile(r"status of (401|503)")  # the browser remarks on every refusal
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a headless browser is told what to do, the same for all tests here."""
    profile = f"--user-data-dir={tmp_path_factory.mktemp('profile')}"
    with subprocess.Popen([CHROMIUM, *ARGUMENTS, profile], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        addresses = (re.search(r"DevTools listening on (\S+)", line) for line in process.stderr)
        yield next(found[1] for found in addresses if found)
        process.kill()


@pytest.fixture
async def browser(browser_address: str) -> AsyncIterator[Browser]:
    """The browser, with nothing remembered."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(browser_address)
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser, api: Client) -> AsyncIterator[Page]:
    """The page, freshly opened; whatever goes wrong in it fails the test."""
    context = await browser.new_context(viewport={"width": 1200, "height": 800})
    page = await context.new_page()
    page.set_default_timeout(MILLISECONDS)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: None if EXPECTED.search(message.text) else faults.append(message.text))
    await page.goto(api.url)
    yield page
    await context.close()
    assert faults == []


def stages(count: int) -> dict[str, str]:
    """Return the times of the first stages."""
    return {name: f"2020-10-01T01:0{minute}:00Z" for minute, name in enumerate(STAGE_NAMES[:count])}


async def ask(page: Page, **fields: str) -> None:
    """Fill in the form and send it."""
    for name, value in fields.items():
        await page.fill(f"[name={name}]", value)
    await page.click("button.main")


async def test_a_job_lights_up_step_by_step(page: Page, projection: Projection) -> None:
    """A job that is asked for is shown, and each step lights up as it proceeds, without asking again."""
    await projection.put([Job(stages=stages(1))])
    await ask(page, owner="0x1111")
    row = page.get_by_role("row").nth(1)
    for count in range(1, 6):
        await projection.stand({PARTITION: 1}, {PARTITION: 3})
        await projection.put([Job(stages=stages(count))])
        await expect(row.locator("li.on")).to_have_count(count, timeout=MILLISECONDS)
        await expect(row.locator("li.now")).to_have_count(0 if count == 5 else 1)
    await expect(row).to_contain_text("Job finished")
    await expect(row).to_contain_text("2020-10-01 01:04:00")
    await expect(page.locator("#freshness")).to_contain_text("2 events behind")
    await expect(page.get_by_role("status")).to_have_text("1 job, 0 unfinished")


async def test_links_open_without_telling_where_from(page: Page, projection: Projection) -> None:
    """Logs and outputs are links that tell the other side nothing; an admin's token shows the admins' ones."""
    await projection.put([FINISHED_JOB])
    await ask(page, jobId="3333")
    links = page.locator("tbody a")
    await expect(links).to_have_text(["Algorithm log", "Output 1", "Output 2"])
    assert await links.first.get_attribute("rel") == "noopener noreferrer"
    assert await links.first.get_attribute("href") == "http://example.net/logs/algo.log"
    await page.fill("#token", "sesame-sesame-16")
    await page.click("button.main")
    await expect(links).to_have_text(["Algorithm log", "Configuration log", "Publish log", "Output 1", "Output 2"])
    assert "sesame-sesame-16" not in page.url
    assert await page.evaluate("() => localStorage.length + sessionStorage.length + document.cookie.length") == 0


async def test_the_question_is_in_the_address(page: Page, api: Client, projection: Projection) -> None:
    """The question is kept in the page's address and taken from it; going back shows the one before."""
    await projection.put([Job(), Job("0x9", job_id="7")])
    await ask(page, owner="0x9")
    await expect(page.get_by_role("rowheader")).to_contain_text("7")
    assert page.url == f"{api.url}/?owner=0x9"
    await ask(page, owner="", jobId="3333")
    await expect(page.get_by_role("rowheader")).to_contain_text("0x1111")
    await page.go_back()
    await expect(page.get_by_role("rowheader")).to_contain_text("0x9")
    assert await page.input_value("[name=owner]") == "0x9"
    await page.goto(f"{api.url}/?agreementId=0x2222&owner=0x1111")
    await expect(page.get_by_role("rowheader")).to_contain_text("3333")


async def test_while_the_api_has_no_answer(page: Page, projection: Projection) -> None:
    """While the API answers 503 the page says why, and shows plainly that what it has is old, until it is back."""
    await projection.put([Job()])
    await ask(page, owner="0x1111")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await projection.redis.delete(projection.key(META))
    banner = page.locator("#alert")
    await expect(banner).to_contain_text("The projection is gone from the store", timeout=MILLISECONDS)
    await expect(page.locator("#result")).to_have_class("stale")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await projection.begin()
    await expect(banner).to_be_hidden(timeout=MILLISECONDS)
    await expect(page.locator("#result")).not_to_have_class("stale")


async def test_while_the_api_cannot_be_reached(page: Page, projection: Projection) -> None:
    """A page whose API is gone says so, and goes on when it is back."""
    await projection.put([Job()])
    await ask(page, owner="0x1111")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.route("**/status?**", lambda route: route.fulfill(status=200, body="<html>not the API</html>"))
    await expect(page.locator("#alert")).to_contain_text("cannot be reached", timeout=MILLISECONDS)
    await page.unroute("**/status?**")
    await expect(page.locator("#alert")).to_be_hidden(timeout=MILLISECONDS)


async def test_empty_and_refused_questions(page: Page, projection: Projection) -> None:
    """Nothing found, nothing asked and a refused question are each said in words."""
    await expect(page.get_by_text("Give an owner, an agreement or a job")).to_be_visible()
    await ask(page, owner="0x7777")
    await expect(page.get_by_text("No job matches.")).to_be_visible()
    await ask(page, owner="")
    await expect(page.get_by_text("Give an owner, an agreement or a job")).to_be_visible()
    await projection.put([Job()])
    await page.fill("#token", "wrong")
    await page.route(
        "**/status?**", lambda route: route.fulfill(status=401, json={"error": "The credentials are not valid"})
    )
    await ask(page, owner="0x1111")
    await expect(page.locator("#alert")).to_have_text("The credentials are not valid")


async def test_names_are_text_and_never_markup(page: Page, projection: Projection) -> None:
    """A job that is called like a piece of HTML is shown so, and does nothing."""
    await projection.put([Job(agreement_id=HOSTILE, job_id=HOSTILE, details={"algologURL": "javascript:alert(1)"})])
    await ask(page, jobId=HOSTILE)
    await expect(page.get_by_role("rowheader")).to_contain_text(HOSTILE)
    await expect(page.locator("tbody img")).to_have_count(0)
    await expect(page.locator("tbody a")).to_have_count(0)


async def test_long_lists_have_pages(page: Page, projection: Projection) -> None:
    """A list of more than a page is turned over with a button, and back to the newest."""
    await projection.put(
        Job(job_id=f"job-{number:03d}", stages={"started": f"2020-10-01T{number // 60:02d}:{number % 60:02d}:00Z"})
        for number in range(150)
    )
    await ask(page, owner="0x1111")
    await expect(page.locator("tbody tr")).to_have_count(100)
    await expect(page.get_by_role("button", name="Newest")).to_be_disabled()
    await page.get_by_role("button", name="Next page").click()
    await expect(page.locator("tbody tr")).to_have_count(50)
    await expect(page.get_by_role("rowheader").first).to_contain_text("job-049")
    await expect(page.get_by_role("button", name="Next page")).to_be_disabled()
    await page.get_by_role("button", name="Newest").click()
    await expect(page.get_by_role("rowheader").first).to_contain_text("job-149")


async def test_it_fits_on_a_phone(page: Page, projection: Projection) -> None:
    """On a narrow screen nothing has to be scrolled sideways, and the table is still a table to those who listen."""
    await projection.put([FINISHED_JOB, Job("0x" + "c" * 40, "0x" + "a" * 64, "j" * 60)])
    await page.set_viewport_size({"width": 360, "height": 740})
    for query in ({"jobId": "3333"}, {"jobId": "j" * 60}):
        await ask(page, **query)
        await expect(page.get_by_role("rowheader")).to_contain_text(query["jobId"])
        assert await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    await expect(page.get_by_role("table").get_by_role("cell")).to_have_count(4)


async def test_the_page_runs_its_own_script_and_style_only(api: Client) -> None:
    """The policy lets in the page's own script and style by their hashes and nothing else; no handler is inline."""
    answer = await api.get("/")
    policy, text = answer.headers["Content-Security-Policy"], answer.body.decode()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        [content] = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not re.search(r"<[^>]+\s(on\w+|style)=", text)
    assert "innerHTML" not in text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)


async def test_a_page_that_found_nothing_yet_leads_on(page: Page) -> None:
    """A page that ended before it found a job says that there is more to look through, and has a next one."""
    next_page = {
        "Link": '<?owner=0x1111&limit=1&cursor=x>; rel="next"',
        "Projection-Lag": "0",
        "Projection-Heartbeat": "2020-10-01T01:00:00Z",
    }
    await page.route(
        "**/status?**",
        lambda route: route.fulfill(status=200, body="[]", content_type="application/json", headers=next_page),
    )
    await ask(page, owner="0x1111")
    await expect(page.get_by_text("None found yet")).to_be_visible()
    await expect(page.locator("#next")).to_be_enabled()
    await expect(page.locator("#next")).to_be_visible()
