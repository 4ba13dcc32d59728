"""The documentation against the code: what a page names is there, and what there is to know is on a page."""

import json
import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from prometheus_client import CollectorRegistry

from api.asking.freshness import FRESHNESS_HEADERS
from api.asking.query import PARAMETERS
from api.command_line import api
from api.metrics import Metrics as ApiMetrics
from api.settings import ApiSettings
from api.web.headers import EXPOSED
from devstack.command_line import commands as devstack
from projector.commands.command_line import commands as projector
from projector.letters.headers import HEADER_PREFIX
from projector.metrics import Metrics as ProjectorMetrics
from projector.settings import ProjectorSettings
from schemas.decode import Reason
from schemas.job_event import EXAMPLE
from schemas.job_status import SCHEMA
from tests.docs.messages import ROOMS, is_said, sentences
from tests.docs.settings_tables import row, tables
from tests.support.markdown import DOCS, PAGES, README, blocks, code_spans, links, prose, table
from worker.command_line import worker

README_LINES = 130
PROCESS_METRICS = "process_"  # what prometheus_client adds by itself
COMMANDS: dict[str, click.Command] = {"worker": worker, "projector": projector, "api": api, "devstack": devstack}
# What a shell outside of the environment does not know.
_UNTYPED = re.compile(r"(?<!\.venv/bin/)python -m (?:worker|projector|api|devstack)\b")
_COMMAND = re.compile(r"python -m (\w+)((?: [a-z-]+)*)")


def named(page: str) -> set[str]:
    """Return what a page of docs/ names in backquotes."""
    return set(code_spans(prose(DOCS / page)))


def test_the_readme_is_short() -> None:
    """The README can be read in one go."""
    assert len(README.read_text().splitlines()) <= README_LINES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the project leads to a file."""
    assert [link for link in links(page) if not link.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    """Every command that a page names exists."""
    for module, words in _COMMAND.findall(page.read_text()):
        command = COMMANDS.get(module)
        assert command or find_spec(module), f"python -m {module}"
        for word in words.split():
            if not isinstance(command, click.Group):
                break
            assert word in command.commands, f"python -m {module}{words}"
            command = command.commands[word]


@pytest.mark.parametrize("page", [README, *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_commands_work_when_they_are_typed(page: Path) -> None:
    """Every command is written with the Python that has what it needs."""
    assert _UNTYPED.findall(page.read_text()) == []


def test_every_setting_is_on_its_page() -> None:
    """The settings' page has the tables that the settings themselves give; the module settings_tables prints them."""
    assert tables() in (DOCS / "settings.md").read_text()


def test_the_readmes_settings_are_as_they_are() -> None:
    """The README's table has the defaults and meanings of the code."""
    fields = ProjectorSettings.model_fields | ApiSettings.model_fields
    known = {row(name, field) for name, field in fields.items()}
    shown = [f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in table(README, "Settings")]
    assert [line for line in shown if line not in known] == []


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        (README, "When something is wrong"),
        (DOCS / "operations.md", "Messages"),
        (DOCS / "operations.md", "Held partitions"),
    ],
    ids=("readme", "messages", "held"),
)
@pytest.mark.group("architecture")  # the files that its tests parse too
def test_the_code_says_what_the_pages_explain(page: Path, heading: str) -> None:
    """Every message that a page explains is one that the code can say."""
    said = sentences()
    messages = [cells[0].strip("`") for cells in table(page, heading)]
    assert messages
    assert [message for message in messages if not is_said(message, said)] == []


def test_every_reason_of_a_dead_letter_is_explained() -> None:
    """The reason codes, the headers and the example of the events' page are those of the code."""
    assert set(Reason) <= named("events.md")
    assert {HEADER_PREFIX + name for name in ("topic", "partition", "offset", "stage")} <= named("events.md")
    assert [json.loads(block.text) for block in blocks(DOCS / "events.md")] == [EXAMPLE]


def test_every_metric_is_explained() -> None:
    """The operations' page explains every metric there is, and no other."""
    there = {*_metrics(ProjectorMetrics().registry), *_metrics(ApiMetrics().registry)}
    explained = {cells[0].strip("`") for cells in table(DOCS / "operations.md", "Metrics")}
    assert explained == there


def test_the_answer_is_described_as_it_is() -> None:
    """The fields of the answer are listed in their order; every parameter and every exposed header is named."""
    rows = [cells[0].strip("`") for cells in table(DOCS / "http.md", "Asking for jobs")]
    assert rows[-len(SCHEMA["required"]) :] == SCHEMA["required"]
    assert set(PARAMETERS) - {"dates"} <= named("http.md")
    assert {*EXPOSED, *FRESHNESS_HEADERS} <= named("http.md")


def test_every_room_is_described() -> None:
    """The architecture's page has every folder of the code."""
    assert [cells[0].strip("`/") for cells in table(DOCS / "architecture.md", "Rooms")] == list(ROOMS)


def _metrics(registry: CollectorRegistry) -> Iterable[str]:
    for metric in registry.collect():
        if not metric.name.startswith(PROCESS_METRICS):
            yield metric.name + ("_total" if metric.type == "counter" else "")
