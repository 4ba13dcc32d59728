"""The status page in a real browser: how it is opened, asked and read."""

import asyncio
import re
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from projector.closing import end
from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import CHANGES, INDEXES, JOB
from tests.support.browser import CHROMIUM
from tests.support.deployment import wait_for
from tests.support.seeding import PARTITION, Job, Projection

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
]  # fmt: skip
MILLISECONDS = 20_000
HEARTBEAT_SECONDS = 1
# The browser remarks on every refusal, and on every server that is not there.
EXPECTED = re.compile(r"status of (400|401|404|410|503)|net::ERR_")

expect.set_options(timeout=MILLISECONDS)


@contextmanager
def chromium(profile: Path) -> Iterator[str]:
    """Run a headless browser and yield where it is told what to do."""
    command = [CHROMIUM, *ARGUMENTS, f"--user-data-dir={profile}"]
    told = profile / "DevToolsActivePort"
    with (profile / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        wait_for(lambda: told.exists() and told.read_text().count("\n") == 1, "the browser listens")
        port, path = told.read_text().split()
        yield f"ws://127.0.0.1:{port}{path}"
        process.kill()


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Browser]:
    """Yield a browser that runs, with nothing remembered."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(address)
        yield browser
        await closed(browser)


async def closed(what: Browser | BrowserContext | Page) -> None:
    """Have a browser, or what is open in it, closed; raises TimeoutError when it does not answer."""
    async with asyncio.timeout(MILLISECONDS / 1000):
        await what.close()


def watch_faults(page: Page, faults: list[str]) -> None:
    """Note whatever goes wrong in a page."""
    page.set_default_timeout(MILLISECONDS)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: None if EXPECTED.search(message.text) else faults.append(message.text))


@asynccontextmanager
async def opened(context: BrowserContext, address: str) -> AsyncIterator[Page]:
    """Yield a page of a context; whatever goes wrong in it fails the test."""
    page = await context.new_page()
    faults: list[str] = []
    watch_faults(page, faults)
    await page.goto(address)
    yield page
    await closed(page)
    assert faults == []


async def search(page: Page, text: str) -> None:
    """Ask by the one field."""
    await page.fill("#one", text)
    await page.click("#query button.main")


class ToldProjection(Projection):
    """A projection whose changes are told to those who follow it, as the projector tells them."""

    async def put(self, jobs: Iterable[Job]) -> None:
        """Store jobs, and note them in the feed."""
        stored = list(jobs)
        await super().put(stored)
        members = " ".join(job.member for job in stored)
        await self.redis.xadd(self.key(CHANGES), {"check": secrets.token_hex(4), "jobs": members, "gone": ""})

    async def remove(self, job: Job) -> None:
        """Let a job go, and note that in the feed."""
        for index, identifier in zip(INDEXES, (job.owner, job.agreement_id, job.job_id), strict=True):
            await self.redis.zrem(self.key(index + identifier), job.member)
        await self.redis.delete(self.key(JOB + job.member))
        gone = "\t".join((job.owner, job.agreement_id, job.job_id, str(job.attempt)))
        await self.redis.xadd(self.key(CHANGES), {"check": secrets.token_hex(4), "jobs": "", "gone": gone})


class Heartbeat:
    """Confirms a projection each second, as a projector does, for as long as it is not stopped."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self.end = 1  # of the log, which is folded up to 1
        self.start()

    def start(self) -> None:
        """Go on after `stop`."""
        self._task = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        """Confirm nothing any more."""
        await end([self._task])

    async def _beat(self) -> None:
        while True:
            await self._projection.stand({PARTITION: 1}, {PARTITION: self.end})
            await asyncio.sleep(HEARTBEAT_SECONDS)


def reached(count: int) -> Mapping[str, str]:
    """Return the times of the first steps, a minute after each other."""
    return {name: f"2020-10-01T01:0{minute}:00Z" for minute, name in enumerate(STAGE_NAMES[:count])}


def ended(outcome: str, *, job_id: str = "", without: str = "", **details: object) -> Job:
    """Return a job that ended so, named by its outcome unless it is given a name."""
    stages = {name: time for name, time in reached(5).items() if name != without}
    return Job(
        job_id=job_id or outcome,
        stages=stages,
        details={"outcome": outcome, **details},
        detail_time="2020-10-01T01:04:00Z",
    )
