"""Running the examples, and seeing what is shown of the jobs that they report.

With EXAMPLES_ON_PAGE=1 each job is looked up on the page too, in a real browser; with a folder there pictures are kept.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.support.browser import CHROMIUM
from tests.support.deployment import Deployment, wait_for

EXAMPLES = Path(__file__).parents[2] / "examples"
BIN = Path(sys.executable).parent
OUTCOMES = ("succeeded", "failed", "cancelled")
RUN_SECONDS = 60
PAGE_MILLISECONDS = 30_000
ON_PAGE = {name: re.compile(rf"\b{name}\b", re.IGNORECASE) for name in OUTCOMES}


class System(Deployment):
    """A running system, and a page of it in a browser, if one is to be looked at."""

    page: Page | None = None


@contextmanager
def browser_page() -> Iterator[Page]:
    """Yield an empty page of a headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page()
        browser.close()


def needs(*programs: str) -> None:
    """Skip the test where one of these programs is not installed."""
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


def run(system: System, command: list[str], folder: Path, **others: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of an example; AssertionError unless it ends with 0."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(system, **others),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def environment(system: System, **others: str) -> dict[str, str]:
    """Return the environment of a worker that knows its owner and agreement, and finds our commands."""
    known = {"OPERATOR_OWNER": "0x1111", "OPERATOR_AGREEMENT_ID": "0x2222", "PATH": f"{BIN}:{os.environ['PATH']}"}
    return {**system.environment, **known, **others}


def shown(system: System, job: str) -> dict[str, Any]:
    """Return the timeline of a job that has ended, as soon as the API shows it, and on the page too if there is one."""
    wait_for(lambda: statuses(system, job) == "5", f"{job} is shown finished")
    [found] = _asked(system, f"/timeline?jobId={job}")
    if system.page:
        see(system.page, system.environment["ADDRESS"], found)
    return found


def see(page: Page, address: str, job: Mapping[str, Any]) -> None:
    """Look a job up on the page; AssertionError unless that shows the job and its outcome."""
    page.goto(f"{address}/?{urlencode({'jobId': job['jobId']})}")
    shown_job = page.get_by_role("region").filter(has=page.locator(f'h2 [data-copy="{job["jobId"]}"]'))
    expect(shown_job.get_by_role("status")).to_contain_text(ON_PAGE[job["outcome"]], timeout=PAGE_MILLISECONDS)
    if folder := os.environ.get("EXAMPLES_ON_PAGE", "").removeprefix("1"):
        page.screenshot(path=Path(folder) / f"{job['jobId']}.png")


def runs(system: System, job: str) -> bool:
    """Tell whether a job is shown running."""
    return "3" in statuses(system, job)


def statuses(system: System, job: str) -> str:
    """Return the job's status as a text; empty while nobody knows it."""
    return "".join(str(one["status"]) for one in _asked(system, f"?jobId={job}"))


def _asked(system: System, question: str) -> list[dict[str, Any]]:
    address = f"{system.environment['ADDRESS']}/api/v1/operator/status{question}"
    with urllib.request.urlopen(address, timeout=RUN_SECONDS) as answer:
        jobs: list[dict[str, Any]] = json.load(answer)
    return jobs
