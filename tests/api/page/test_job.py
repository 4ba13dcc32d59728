"""One job: why it is where it is, how it got there, what it left behind."""

import json
import shlex
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.client import TIMELINE, Client, StartApi
from tests.support.page import ended, reached, search
from tests.support.seeding import FINISHED_JOB, Job, Projection

pytestmark = [pytest.mark.server, pytest.mark.group("page"), pytest.mark.asyncio(loop_scope="session")]

REFUSED = {"reason": "bad-time", "date": "2020-10-01T01:02:00Z"}
CAUSE = {
    "code": "NEW:CODE",
    "since": None,
    "evidence": {"why": "unknown"},
    "hint": "Something else.",
    "actor": "user",
    "retriable": False,
}


async def test_links_open_without_telling_where_from(page: Page, projection: Projection) -> None:
    """Logs and outputs are links that tell the other side nothing; an admin's token shows the admins' ones."""
    await projection.put([FINISHED_JOB])
    await search(page, "3333")
    links = page.locator("#links a")
    urls = ["http://example.net/logs/algo.log", "http://example.net/logs/output/0", "http://example.net/logs/output/1"]
    await expect(links).to_have_text(urls)
    for attribute, value in (("rel", "noopener noreferrer"), ("target", "_blank"), ("href", urls[0])):
        assert await links.first.get_attribute(attribute) == value
    await page.get_by_text("More", exact=True).click()
    await page.fill("#token", "sesame-sesame-16")
    await page.click("#query button.main")
    await expect(links).to_have_count(5)
    await expect(page.locator("#links")).to_contain_text("Configuration loghttp://example.net/logs/config.log")
    assert "sesame" not in page.url


async def test_steps_stand_on_an_axis_of_time(page: Page, projection: Projection) -> None:
    """Each step has its beginning, how long it took and its worker, and a bar over that time."""
    job = Job(stages={**reached(5), "finished": "2020-10-01T01:08:00Z"})
    await projection.put([job, ended("succeeded", job_id="hasty", without="configuring")])
    await search(page, "3333")
    rows = page.locator(".axis tbody tr")
    await expect(rows.locator(".took")).to_have_text(["1 min 0 s", "1 min 0 s", "1 min 0 s", "5 min 0 s", ""])
    await expect(rows.locator(".worker")).to_have_text(["/workers/gpu-7"] * 5)
    spans = await rows.locator(".span").evaluate_all("all => all.map(span => [span.style.left, span.style.width])")
    assert spans == [["0%", "12.5%"], ["12.5%", "12.5%"], ["25%", "12.5%"], ["37.5%", "62.5%"], ["100%", "0%"]]
    await search(page, "hasty")
    await expect(rows.nth(1)).to_contain_text("never reported")
    await expect(rows.nth(0).locator(".took")).to_have_text("2 min 0 s")


async def test_a_failure_is_told_in_full(page: Page, projection: Projection) -> None:
    """Message and error are shown as they were reported, whole and line by line; title and icon say that it failed."""
    error = "Traceback:\n  line 88\n" + "x" * 900
    await projection.put([ended("failed", job_id="3333", error=error, message="epoch 12")])
    await search(page, "3333")
    await expect(page.locator("#look-now")).to_contain_text("Failed")
    assert await page.locator("#error pre").text_content() == error
    await expect(page.locator("#message pre")).to_have_text("epoch 12")
    assert await page.title() == "Failed · 3333 · Operator status"
    assert "c02626" in str(await page.get_attribute("#icon", "href"))


async def test_attempts_lead_to_one_another(page: Page, projection: Projection) -> None:
    """Of a job with several attempts the last is shown, and each of the others is one click away."""
    await projection.put([ended("failed", job_id="3333"), Job(attempt=2, stages=reached(3))])
    await search(page, "3333")
    await expect(page.locator("#where")).to_contain_text("Running algorith")
    await page.get_by_role("link", name="Attempt 1 (failed)").click()
    await expect(page.locator("#where")).to_have_text("Job finished after 4 min 0 s")
    assert page.url.endswith("attempt=1")
    await expect(page.get_by_role("link", name="Attempt 1 (failed)")).to_have_attribute("aria-current", "page")


async def test_a_job_moves_by_itself(page: Page, projection: Projection) -> None:
    """A job that is looked at moves on its axis, and its end is told, without anybody's doing."""
    await projection.put([Job(stages=reached(2))])
    await search(page, "3333")
    await expect(page.locator(".axis tr.now")).to_contain_text("Configuring volumes")
    await projection.put([Job(stages=reached(4))])
    await expect(page.locator(".axis tr.now")).to_contain_text("Uploading results")
    await projection.put([Job(stages=reached(5))])
    await expect(page.locator("#heard")).to_contain_text("Succeeded: Job finished")


async def test_whoever_wants_it_is_told_when_a_job_ends(page: Page, projection: Projection) -> None:
    """A notification says how a job ended, once, to who asked for it."""
    await page.context.grant_permissions(["notifications"])
    await page.evaluate("""() => {
        window.told = [];
        window.Notification = class extends EventTarget {
            static permission = "granted";
            static requestPermission() { return Promise.resolve("granted"); }
            constructor(title) { super(); window.told.push(title); }
        };
    }""")
    await projection.put([Job()])
    await search(page, "3333")
    await page.get_by_role("button", name="Tell me when it ends").click()
    await expect(page.locator("#notify")).to_have_attribute("aria-pressed", "true")
    await projection.put([ended("failed", job_id="3333")])
    await page.wait_for_function("() => window.told.length")
    assert await page.evaluate("() => window.told") == ["Failed: 3333"]


async def test_the_answer_can_be_had_elsewhere(page: Page, api: Client, projection: Projection) -> None:
    """The page shows the API's own answer, and a command for it that a shell takes as it stands."""
    await projection.put([FINISHED_JOB])
    await search(page, "3333")
    await page.get_by_text("As JSON").click()
    raw = json.loads(str(await page.locator("#raw").text_content()))
    assert [raw["status"]] == await api.jobs("jobId=3333")
    command, silent, url = shlex.split(str(await page.locator("#curl code").text_content()))
    assert (command, silent) == ("curl", "-s")
    assert (await api.get(url.removeprefix(api.url))).json() == [raw["timeline"]]


async def test_why_a_job_stands_is_said_in_sentences(page: Page, start_api: StartApi, projection: Projection) -> None:
    """A job that hangs is overdue, and each cause is said with its age, what to do, whose turn it is and the facts."""
    api = await start_api(projection.prefix)
    await projection.put([Job(stages=reached(3)), Job(job_id="other")])
    await page.goto(f"{api.url}/?jobId=3333")
    causes = page.locator("#causes li")
    await expect(causes).to_have_count(3)
    await expect(causes).to_contain_text(["WORKER:SILENT", "STAGE:OVERDUE", "JOB:OVERDUE"])
    silent = causes.first
    await expect(silent.locator("strong")).to_have_text("Nothing heard of its worker")
    await expect(silent).to_contain_text("The worker's turn Waiting can help.")
    await expect(silent).to_contain_text("limitSeconds: 900")
    told = (await api.get(f"{TIMELINE}?jobId=3333")).json()[0]["diagnosis"][0]
    await expect(silent).to_contain_text(told["hint"])
    await expect(page.locator("#look-now")).to_contain_text("Overdue")
    assert await page.title() == "Running algorith · 3333 · Operator status"
    await page.goto(f"{api.url}/?owner=0x1111")
    await expect(page.locator("#summary")).to_have_text("2 jobs: 2 overdue")


async def test_what_a_later_api_knows_is_shown_as_it_is(page: Page, api: Client, projection: Projection) -> None:
    """A cause that the page does not know is shown by its code, and refused reports with their reason."""
    await projection.put([Job()])
    told: dict[str, Any] = (await api.get(f"{TIMELINE}?jobId=3333")).json()[0]
    told |= {"diagnosis": [CAUSE], "refused": [REFUSED]}
    await page.route("**/timeline?**", lambda route: route.fulfill(status=200, json=[told]))
    await search(page, "3333")
    await expect(page.locator("#causes li strong")).to_have_text("NEW:CODE")
    await expect(page.locator("#causes li")).to_contain_text("Your turn Waiting does not help.")
    await expect(page.locator("#refused")).to_contain_text("bad-time")


async def test_times_are_read_as_one_likes(page: Page, projection: Projection) -> None:
    """Times are shown as how long ago, here, or in UTC, whichever was chosen last; the others are one hover away."""
    await projection.put([FINISHED_JOB])
    await search(page, "3333")
    began = page.locator(".axis time").first
    await expect(began).to_contain_text("ago")
    await page.select_option("#times", "utc")
    await expect(began).to_have_text("2020-10-01 01:00:00 UTC")
    assert str(await began.get_attribute("title")).startswith("2020-10-01T01:00:00Z")
    await page.reload()
    await expect(began).to_have_text("2020-10-01 01:00:00 UTC")
    await page.select_option("#times", "local")
    await expect(began).to_have_text("2020-10-01 01:00:00")
