"""Writes what was measured into docs/performance.md, between markers, and its plots beside it."""

from pathlib import Path
from typing import Final

from tests.bench.figures import Figures
from tests.bench.plots import PLOTS, write_plots
from tests.bench.table import markdown

PAGE: Final = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN: Final = "<!-- written by `make bench`, as far as the next mark -->"
END: Final = "<!-- as far as here -->"
PLOTS_FOLDER: Final = "performance"
_TITLES: Final = {
    "rate": "Events a second in a catch-up, of the plain pipeline and of one projector",
    "cost": "What the last event of a job costs, by how many jobs are alive",
    "latency": "Publish to visible, by events a second",
}


def write(figures: Figures, measured_on: str, page: Path = PAGE) -> None:
    """Replace what stands between the markers of a page; ValueError when they are not there."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the figures: {BEGIN} and {END}")
    folder = page.parent / PLOTS_FOLDER
    write_plots(figures, folder)
    shown = [name for name in PLOTS if (folder / f"{name}.svg").exists()]
    plots = "\n\n".join(f"![{_TITLES[name]}]({PLOTS_FOLDER}/{name}.svg)" for name in shown)
    notes = "\n".join(["```text", *figures.notes, "```"]) if figures.notes else ""
    parts = [f"Measured on {measured_on}.", markdown(figures), plots, notes]
    page.write_text("".join([before, BEGIN, "\n", "\n\n".join(filter(None, parts)), "\n", END, after]))
