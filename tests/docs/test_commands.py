"""The README's and the HTTP page's commands, run as a reader runs them, one after the other, on a running system."""

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.deployment import Deployment
from tests.support.markdown import DOCS, PROJECT, README, Block, blocks
from tests.support.services import Services

LIMIT_SECONDS = 150
ADDRESS = "http://127.0.0.1:8080"
ADMIN_TOKEN = "example-admin-token"  # noqa: S105 - the one that the page shows
PROGRAMS = {"sh": ["sh", "-ec"], "python": [sys.executable, "-c"], "js": ["node", "--eval"]}
# HTML is tried in a browser, by tests/api/page; code that streams by tests/api/test_stream_snippets.py.
SHOWN = {"json", "text", "html", "javascript"}
# These install and start things of their own: test_make_run.py runs the one, and nothing can run itself.
RUN_ELSEWHERE = {"make run\n", "make test\n"}


@pytest.fixture
def deployment(services: Services, tmp_path: Path) -> Iterator[Deployment]:
    """A running system, whose API knows the admin of the HTTP page."""
    with Deployment(services, f"docs-{uuid.uuid4().hex[:12]}", tmp_path) as deployment:
        deployment.start_projector()
        deployment.environment["ADDRESS"] = deployment.start_api(API_ADMIN_TOKENS=ADMIN_TOKEN)
        yield deployment


def test_commands_print_what_the_pages_show(deployment: Deployment) -> None:
    """Every command succeeds; the JSON behind a command is what it prints; the job that is followed finishes."""
    for program in ("curl", "node"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    for block, following in pairwise([*blocks(README), *blocks(DOCS / "http.md"), Block("end", "")]):
        if block.language in SHOWN or block.text in RUN_ELSEWHERE or is_part(block):
            continue
        printed = run(block, deployment)
        deployment.wait_until_applied()
        if following.language == "json":
            assert json.loads(printed) == json.loads(following.text), block.text
        elif "/events?" in block.text:
            assert "event: end" in printed
        elif "curl" in block.text:
            assert json.loads(printed)[0]["jobId"] == "3333", block.text
        if block.language == "js":
            assert printed.splitlines()[-1] == "Job finished"


def test_every_block_is_of_a_known_kind() -> None:
    """No block of code is left out because nobody knows how to run it."""
    assert {block.language for block in (*blocks(README), *blocks(DOCS / "http.md"))} == {*PROGRAMS, *SHOWN}


def is_part(block: Block) -> bool:
    """Whether it is a piece of a program that asks at no address of its own."""
    return block.language == "js" and ADDRESS not in block.text


def run(block: Block, deployment: Deployment) -> str:
    """Run a block in the project's folder and return what it printed; AssertionError when it fails."""
    text = block.text.replace(ADDRESS, deployment.environment["ADDRESS"]).replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        [*PROGRAMS[block.language], text],
        cwd=PROJECT,
        env=deployment.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}{done.stderr}"
    return done.stdout
