"""The commands by which the operations' page backs up and moves a projection, run as an operator runs them."""

import subprocess
import sys
from pathlib import Path

from tests.support.deployment import Deployment
from tests.support.events import event
from tests.support.markdown import DOCS, Block, blocks

HEADING = "## Back up and move"
OTHER = "redis://other:6379/0"


def test_a_projection_is_backed_up_and_moved_as_the_page_says(deployment: Deployment, tmp_path: Path) -> None:
    """The page's commands, one after the other, bring a projection back and into another Redis."""
    deployment.publish_event(event())
    projector = deployment.start_projector()
    deployment.wait_until_applied()
    deployment.stop(projector)
    write, read, move = [block for block in section(tmp_path) if block.language == "sh"]
    run(write, deployment, tmp_path)
    deployment.forget()
    assert "generation 2 is live, with 1 jobs" in run(read, deployment, tmp_path)
    assert "generation 2 is live, with 1 jobs" in run(move, deployment, tmp_path)


def section(directory: Path) -> list[Block]:
    """Return the blocks of the section."""
    page = directory / "section.md"
    page.write_text((DOCS / "operations.md").read_text().split(HEADING, 1)[1].split("\n## ", 1)[0])
    return blocks(page)


def run(block: Block, deployment: Deployment, directory: Path) -> str:
    """Run a block, with another prefix of the same Redis for the other one, and return what it printed."""
    text = block.text.replace(f"REDIS_URL={OTHER}", f"REDIS_PREFIX={deployment.prefix}:other")
    done = subprocess.run(
        ["sh", "-ec", text.replace(".venv/bin/python", sys.executable)],
        cwd=directory,
        env=deployment.environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}{done.stderr}"
    return done.stdout
