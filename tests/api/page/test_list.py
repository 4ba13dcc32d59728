"""The list of jobs: how they stand at a glance, and a place that is kept while they change."""

import re

import pytest
from playwright.async_api import Locator, Page, expect

from tests.support.client import Client
from tests.support.page import MILLISECONDS, ended, reached, search
from tests.support.seeding import Job, Projection, numbered

pytestmark = [pytest.mark.server, pytest.mark.group("page"), pytest.mark.asyncio(loop_scope="session")]

COMPACT_PIXELS = 48
MOVED_PIXELS = 4  # rows that were not laid out yet are taken for a little lower than they are
MANY = 1_030
PAGE_JOBS = 1_000


def row_of(page: Page, name: str) -> Locator:
    """Return the row of a job."""
    return page.locator("#jobs").get_by_role("row").filter(has=page.get_by_title(name, exact=True))


async def steps_of(row: Locator) -> list[str]:
    """Return how each step of a row is shown."""
    steps: list[str] = await row.locator(".bar i").evaluate_all("steps => steps.map(step => step.className)")
    return steps


async def place_of(link: Locator) -> float:
    """Return how far from the window's top it is."""
    box = await link.bounding_box()
    assert box
    return box["y"]


async def names(page: Page) -> list[str]:
    """Return what the rows are called, in their order."""
    return await page.locator("#jobs .job-link").all_text_contents()


async def test_a_job_lights_up_step_by_step(page: Page, projection: Projection) -> None:
    """A job that is asked for is shown, and each step lights up as it proceeds, without asking again."""
    await projection.put([Job(stages=reached(1)), Job(job_id="other")])
    await search(page, "0x1111")
    row = row_of(page, "3333")
    for count in range(1, 5):
        await projection.put([Job(stages=reached(count))])
        await expect(row.locator(".bar .now")).to_have_count(1)
        await expect(row.locator(".bar .done")).to_have_count(count - 1)
    await projection.put([Job(stages=reached(5))])
    await expect(row.locator(".bar .done")).to_have_count(5)
    await expect(row).to_contain_text("Succeeded")
    await expect(row).to_contain_text("Job finished")
    await expect(row).to_contain_text("4 min 0 s")
    await expect(page.locator("#summary")).to_have_text("2 jobs: 1 running, 1 succeeded")


async def test_how_a_job_ended_is_seen_at_a_glance(page: Page, projection: Projection) -> None:
    """How jobs ended differs in word, sign and colour, and what was never reported is not shown as done."""
    await projection.put([ended(outcome) for outcome in ("succeeded", "failed", "cancelled")])
    await projection.put([ended("succeeded", job_id="hasty", without="uploading")])
    await search(page, "0x1111")
    for outcome, sign in (("succeeded", "✓"), ("failed", "✕"), ("cancelled", "⊘")):
        await expect(row_of(page, outcome).locator(".look")).to_have_text(sign + outcome.capitalize())
    colours = {
        outcome: await row_of(page, outcome).locator(".bar i").evaluate_all(
            "steps => steps.map(step => getComputedStyle(step).backgroundColor).join()"
        )
        for outcome in ("succeeded", "failed", "cancelled")
    }  # fmt: skip
    assert len(set(colours.values())) == 3
    assert await steps_of(row_of(page, "hasty")) == ["done", "done", "done", "skipped", "done"]
    await expect(row_of(page, "hasty")).to_contain_text("1 step never reported")
    assert await page.title() == "1 failed, 1 cancelled, 2 succeeded · Operator status"


async def test_attempts_stand_under_their_job(page: Page, projection: Projection) -> None:
    """A job stands once in the list, as its last attempt does; earlier ones are below it when they are wanted."""
    first = ended("failed", job_id="tried")
    await projection.put([first, Job(job_id="tried", attempt=2, stages=reached(3)), Job(job_id="other")])
    await search(page, "0x1111")
    rows = page.locator("#jobs").get_by_role("row")
    await expect(rows).to_have_count(2)
    await expect(row_of(page, "tried")).to_contain_text("attempt 2")
    await page.get_by_role("button", name="Show 1 earlier").click()
    await expect(rows).to_have_count(3)
    await expect(row_of(page, "tried").nth(1)).to_contain_text("Failed")
    await expect(page.locator("#summary")).to_have_text("2 jobs: 2 running")


async def test_a_list_is_narrowed_and_ordered(page: Page, projection: Projection) -> None:
    """Jobs are chosen by step and outcome and put in order, and the choice is in the address."""
    old, new = {"started": "2020-10-01T01:00:00Z"}, {"started": "2020-10-01T02:00:00Z"}
    await projection.put(
        [Job(job_id="waits", stages=old), Job(job_id="began", stages=new), ended("failed"), ended("succeeded")]
    )
    await search(page, "0x1111")
    await expect(page.locator("#jobs .job")).to_have_count(4)
    await page.select_option("#look", "failed")
    assert await names(page) == ["failed"]
    await page.select_option("#look", "")
    await page.select_option("#step", "1")
    assert await names(page) == ["began", "waits"]
    await page.select_option("#order", "step")
    assert await names(page) == ["waits", "began"]
    assert page.url.endswith("?owner=0x1111&step=1&order=step")
    await page.reload()
    await expect(page.locator("#jobs .job")).to_have_count(2)
    assert await names(page) == ["waits", "began"]
    await page.select_option("#look", "cancelled")
    await expect(page.get_by_text("None of these jobs")).to_be_visible()


async def test_new_jobs_wait_while_somebody_reads(page: Page, projection: Projection) -> None:
    """Who has scrolled down keeps the place while jobs arrive, is told how many are new, and sees them when wanted."""
    await projection.put(numbered(60, seconds=60))
    await search(page, "0x1111")
    await expect(page.locator("#jobs .job")).to_have_count(60)
    await page.mouse.move(5, 5)
    read = page.get_by_title("job-20", exact=True)
    await read.scroll_into_view_if_needed()
    before = await place_of(read)
    await projection.put(
        [Job(job_id=f"new-{number}", stages={"started": "2021-01-01T00:00:00Z"}) for number in range(2)]
    )
    button = page.get_by_role("button", name="2 new")
    await expect(button).to_be_visible(timeout=MILLISECONDS)
    await expect(page.locator("#jobs .job")).to_have_count(60)
    assert abs(await place_of(read) - before) < MOVED_PIXELS
    await expect(button).to_be_in_viewport()
    await button.click()
    await expect(page.locator("#jobs .job")).to_have_count(62)
    assert sorted((await names(page))[:2]) == ["new-0", "new-1"]
    await expect(button).to_be_hidden()


async def test_very_many_jobs_have_pages(page: Page, projection: Projection) -> None:
    """Of very many jobs the newest are shown and said to be these; older ones are a page on, which a reload keeps."""
    await projection.put_many_alike(Job(), (f"job-{number:04d}" for number in range(MANY)))
    await search(page, "0x1111")
    await expect(page.locator("#summary")).to_have_text(re.compile(f"The newest {PAGE_JOBS}"))
    newest = set(await names(page))
    await page.get_by_role("link", name="Older jobs").click()
    await expect(page.locator("#jobs .job")).to_have_count(MANY - PAGE_JOBS)
    assert not newest & set(await names(page))
    await page.reload()
    await expect(page.locator("#jobs .job")).to_have_count(MANY - PAGE_JOBS)
    await expect(page.get_by_role("link", name="Older jobs")).to_be_hidden()
    await page.get_by_role("link", name="Newest jobs").click()
    await expect(page.locator("#jobs .job")).to_have_count(PAGE_JOBS)


async def test_rows_stay_compact(page: Page, projection: Projection) -> None:
    """Long names and many outputs make no row higher or wider than the others."""
    outputs = [f"http://example.net/{number}" for number in range(120)]
    await projection.put(
        [ended("succeeded", job_id="j" * 250, outputsURL=outputs), Job(), Job("0x1111", "a" * 200, "x")]
    )
    await search(page, "0x1111")
    rows = page.locator("#jobs .job")
    await expect(rows).to_have_count(3)
    heights = await rows.evaluate_all("rows => rows.map(row => row.getBoundingClientRect().height)")
    assert max(heights) <= COMPACT_PIXELS
    for width in (360, 700, 1000, 1280, 2560):
        await page.set_viewport_size({"width": width, "height": 740})
        assert await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), width


async def test_a_search_that_takes_several_pages_is_gone_through(
    page: Page, api: Client, projection: Projection
) -> None:
    """A page that ended before it found a job is followed by the next one without anybody's doing."""
    await projection.put([Job()])
    headers = {"Link": '<?owner=0x1111&limit=1000&and=on>; rel="next"', "Projection-Lag": "0"}
    first = re.compile(r"/status\?owner=0x1111&limit=1000$")
    await page.route(first, lambda route: route.fulfill(status=200, json=[], headers=headers))
    await page.goto(f"{api.url}/?owner=0x1111")
    await expect(page.locator("#jobs .job")).to_have_count(1)
