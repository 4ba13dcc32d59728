"""The table of `make bench`, and how it comes into docs/performance.md."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.bench.__main__ import OTHERS, PARTS, main
from tests.bench.documents import BEGIN, END, PAGE, write
from tests.bench.figures import Figures
from tests.bench.plots import PLOTS
from tests.bench.redis_cost import PROJECTOR_CURVE, REDIS_CURVE
from tests.bench.table import GOALS, NOT_MEASURED, ROWS, Goal, markdown, missing

MACHINE = "a machine"


def measured() -> Figures:
    """Return figures of everything, each of three rounds."""
    figures = Figures()
    for value in (3.0, 1.0, 2.0):
        for row in ROWS:
            figures.add(row.key, value)
        for curve in (REDIS_CURVE, PROJECTOR_CURVE, "p50", "p99"):
            for x in (200, 2000):
                figures.add_point(curve, x, value)
    return figures


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A copy of the page, with no plots beside it."""
    return Path(shutil.copy(PAGE, tmp_path))


def test_each_figure_has_a_part_and_each_goal_a_figure() -> None:
    """Whatever stands in the table is measured by a part of the command, and no goal is forgotten."""
    assert {row.part for row in ROWS} <= {*PARTS, *OTHERS}
    assert GOALS.keys() <= {row.key for row in ROWS}


def test_each_goal_stands_beside_its_figure() -> None:
    """A line of the table has the median, the spread, the goals and which of them it reaches."""
    cells = [line.strip("| ").split(" | ") for line in markdown(measured()).splitlines()]
    beside = {measure: figures for measure, *figures in cells}
    rebuild = "p99 of queries at 200/s during a rebuild at full speed beside none"
    assert beside[rebuild] == ["2 times", "1 to 3", "2", "", "yes"]
    assert beside["status query of one job beside a constant body"][-3:] == ["0.75", "0.85", "aim"]
    assert beside["list of 10,000 jobs of an owner"][-1] == "no"


@pytest.mark.parametrize(
    ("goal", "value", "reached"),
    [
        (Goal(5, 8, is_least=True), 4.9, "no"),
        (Goal(5, 8, is_least=True), 5.0, "yes"),
        (Goal(5, 8, is_least=True), 8.0, "aim"),
        (Goal(5.5, 4), 5.6, "no"),
        (Goal(5.5, 4), 5.5, "yes"),
        (Goal(5.5, 4), 4.0, "aim"),
        (Goal(10), 1.0, "yes"),
    ],
)
def test_a_goal_says_what_reaches_it(goal: Goal, value: float, reached: str) -> None:
    """A goal is reached from its own side."""
    assert goal.reached_by(value) == reached


def test_what_was_not_measured_is_said() -> None:
    """A goal without a figure stands there as not measured, and the command knows what it owes."""
    figures = Figures()
    figures.add("lists/rate", 200_000)
    assert markdown(figures).count(NOT_MEASURED) == len(GOALS) - 1
    assert "lists/rate" not in missing(figures, ["lists"])
    assert "lists/first" in missing(figures, ["lists"])


def test_the_page_is_written_between_its_markers(page: Path) -> None:
    """Tables and plots replace those of the run before; the rest of the page stays as it is."""
    before = page.read_text()
    write(measured(), MACHINE, page)
    once = page.read_text()
    write(measured(), MACHINE, page)
    assert page.read_text() == once
    assert once.partition(BEGIN)[0] == before.partition(BEGIN)[0]
    assert once.partition(END)[2] == before.partition(END)[2]
    written = once.partition(BEGIN)[2].partition(END)[0]
    assert MACHINE in written
    assert NOT_MEASURED not in written
    for name in PLOTS:
        assert f"(performance/{name}.svg)" in written
        assert (page.parent / "performance" / f"{name}.svg").read_text().startswith("<svg")


def test_a_page_without_markers_is_not_written(page: Path) -> None:
    """Nobody knows where figures would go."""
    page.write_text("# Performance\n")
    with pytest.raises(ValueError, match="no place"):
        write(measured(), MACHINE, page)


@pytest.mark.server
def test_the_command_measures_and_writes(page: Path) -> None:
    """The command measures a part, and writes it into the page that it is given."""
    done = CliRunner().invoke(main, ["--small", "--only", "memory", "--only", "alive", "--docs", str(page)])
    assert done.exit_code == 0, done.output
    written = page.read_text()
    line = next(line for line in written.splitlines() if "three indexes: redis-server" in line)
    assert 500 < float(line.split(" | ")[1].removesuffix(" bytes").replace(",", "")) < 10_000
    assert (page.parent / "performance" / "cost.svg").exists()
