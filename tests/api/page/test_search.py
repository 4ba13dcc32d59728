"""Finding a job by any of its names."""

import pytest
from playwright.async_api import Page, expect

from tests.support.client import Client
from tests.support.page import search
from tests.support.seeding import Job, Projection

pytestmark = [pytest.mark.server, pytest.mark.group("page"), pytest.mark.asyncio(loop_scope="session")]


async def test_a_job_is_found_by_each_of_its_names(page: Page, api: Client, projection: Projection) -> None:
    """One field takes an owner, an agreement or a job, finds out which it is, and the address says so."""
    await projection.put([Job(), Job(job_id="4444")])
    for text, address in (
        ("0x1111", "?owner=0x1111"),
        ("0x2222", "?agreementId=0x2222"),
        (" 0X2222 ", "?agreementId=0X2222"),
    ):
        await search(page, text)
        await expect(page.locator("#jobs .job")).to_have_count(2)
        assert page.url == f"{api.url}/{address}"
    await search(page, "3333")
    await expect(page.locator("#job-name")).to_have_text("3333")
    assert page.url == f"{api.url}/?jobId=3333"


async def test_three_fields_narrow_the_question(page: Page, api: Client, projection: Projection) -> None:
    """Who knows more than one name gives each its field; the question can be sent to somebody as the page's address."""
    await projection.put([Job(), Job("0x9", job_id="3333")])
    await page.get_by_text("More", exact=True).click()
    await page.fill("[name=owner]", "0x9")
    await page.fill("[name=jobId]", "3333")
    await page.click("#query button.main")
    await expect(page.locator("#trail")).to_contain_text("0x9")
    assert page.url == f"{api.url}/?owner=0x9&jobId=3333"
    await page.goto(f"{api.url}/?owner=0x1111&jobId=3333")
    await expect(page.locator("#trail")).to_contain_text("0x1111")
    assert await page.input_value("[name=owner]") == "0x1111"


async def test_going_back_shows_what_was_shown(page: Page, projection: Projection) -> None:
    """A job is one click from its list, and its list is one step back."""
    await projection.put([Job(), Job(job_id="4444")])
    await search(page, "0x1111")
    await page.get_by_role("link", name="4444").click()
    await expect(page.locator("#job-name")).to_have_text("4444")
    await page.go_back()
    await expect(page.locator("#jobs .job")).to_have_count(2)
    assert await page.input_value("#one") == "0x1111"
    await page.go_forward()
    await expect(page.locator("#job-name")).to_have_text("4444")


async def test_a_name_with_two_meanings_is_asked_about(page: Page, projection: Projection) -> None:
    """A text that is an owner and a job too is not guessed at: both are offered."""
    await projection.put([Job("0x5"), Job(job_id="0x5")])
    await search(page, "0x5")
    await expect(page.locator("#choices a")).to_have_text(["Owner 0x5", "Job 0x5"])
    await page.get_by_role("link", name="Job 0x5").click()
    await expect(page.locator("#trail")).to_contain_text("0x1111")


async def test_what_is_not_there_yet_is_waited_for(page: Page, projection: Projection) -> None:
    """Nothing found is said with what to check, and the job is shown as soon as it is reported."""
    for text, heading in (("soon", "No job matches “soon”"), ("", "")):
        await search(page, text)
        if heading:
            await expect(page.get_by_role("heading", name=heading)).to_be_visible()
            await expect(page.get_by_text("Was a report of it refused?")).to_be_visible()
        else:
            await expect(page.get_by_text("Paste the id of an owner")).to_be_visible()
    await search(page, "soon")
    await expect(page.get_by_text("goes on looking")).to_be_visible()
    await projection.put([Job(job_id="soon")])
    await expect(page.locator("#job-name")).to_have_text("soon")


async def test_a_refused_question_is_said_in_words(page: Page, api: Client) -> None:
    """What the API says of a question that it refuses stands on the page."""
    await page.get_by_text("More", exact=True).click()
    await page.fill("#token", "wrong")
    await search(page, "0x1111")
    await expect(page.get_by_role("alert")).to_contain_text("credentials are not valid")
    await page.goto(f"{api.url}/?owner=0x1111&cursor=crafted")
    await expect(page.get_by_role("alert")).to_contain_text("cursor")


async def test_recent_searches_stay_in_this_browser(page: Page, api: Client, projection: Projection) -> None:
    """What was asked for is offered at the start, can be forgotten, and holds no token."""
    await projection.put([Job(), Job(job_id="4444")])
    await page.get_by_text("More", exact=True).click()
    await page.fill("#token", "sesame-sesame-16")
    await search(page, "0x1111")
    await expect(page.locator("#jobs .job")).to_have_count(2)
    kept = await page.evaluate("() => JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.cookie")
    assert "0x1111" in kept
    assert "sesame" not in kept + page.url
    await page.get_by_role("link", name="Operator status").click()
    await page.get_by_role("link", name="owner 0x1111").click()
    await expect(page.locator("#jobs .job")).to_have_count(2)
    await page.goto(api.url)
    await page.get_by_role("button", name="Forget them").click()
    await page.reload()
    await expect(page.locator("#recent")).to_be_hidden()


async def test_the_keyboard_suffices(page: Page, projection: Projection) -> None:
    """A job is searched for, chosen in the list and opened without a mouse."""
    await projection.put([Job(job_id="older"), Job(job_id="newer", stages={"started": "2020-10-01T02:00:00Z"})])
    await page.keyboard.press("/")
    await page.keyboard.type("0x1111")
    await page.keyboard.press("Enter")
    await page.get_by_role("link", name="newer").focus()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("link", name="older")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#job-name")).to_have_text("older")
    await expect(page.locator("#content")).to_be_focused()


async def test_a_name_is_copied_whole(page: Page, projection: Projection) -> None:
    """A long name is shown cut in its middle, and a click copies all of it."""
    agreement = "0x" + "ab" * 32
    await projection.put([Job(agreement_id=agreement), Job(job_id="other")])
    await page.set_viewport_size({"width": 1600, "height": 800})  # on a narrow screen the list has no agreements
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await search(page, "0x1111")
    name = page.get_by_role("button", name=f"Agreement {agreement}, copy")
    await expect(name).to_have_text("0xababababab…abababab")
    await name.click()
    await expect(page.locator("#said")).to_have_text("Copied")
    assert await page.evaluate("() => navigator.clipboard.readText()") == agreement
