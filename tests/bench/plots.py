"""Plots of the figures, as SVG."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pygal
from pygal.style import Style

from tests.bench.figures import Figures
from tests.bench.redis_cost import PROJECTOR_CURVE, REDIS_CURVE

# For maps, of which there are none here, pygal adds a finder of modules, of the kind that Python 3.12 knows no more.
# pytest asks every finder there is.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

_WORKLOADS: Final = {
    "near, no AOF": "catch-up/near/off",
    "near, AOF": "catch-up/near/on",
    "far, no AOF": "catch-up/far/off",
    "far, AOF": "catch-up/far/on",
}
_STYLE: Final = Style(background="white", plot_background="white", colors=("#8a8f98", "#1f6feb", "#d1242f"))
# No script, and no random names: the same figures are the same file.
_LOOKS: Final = {
    "style": _STYLE,
    "js": [],
    "no_prefix": True,
    "pretty_print": True,
    "disable_xml_declaration": True,
    "width": 720,
    "height": 400,
    "legend_at_bottom": True,
}


def write_plots(figures: Figures, directory: Path) -> None:
    """Write the plots of what was measured."""
    directory.mkdir(exist_ok=True)
    for name, draw in PLOTS.items():
        chart = draw(figures)
        if chart is not None:
            lines = chart.render(is_unicode=True).splitlines()
            (directory / f"{name}.svg").write_text("\n".join(line.rstrip() for line in lines) + "\n")


def _rate(figures: Figures) -> pygal.Bar | None:
    measured = {name: key for name, key in _WORKLOADS.items() if figures.median(f"{key}/ratio") is not None}
    if not measured:
        return None
    chart = pygal.Bar(
        title="Catch-up: events a second; a job's events near (500 apart) or far (50,000)",
        x_labels=list(measured),
        **_LOOKS,
    )
    for name, part in (("plain pipeline", "plain"), ("one projector", "projector")):
        chart.add(name, [round(figures.median(f"{key}/{part}") or 0) for key in measured.values()])
    return chart


def _cost(figures: Figures) -> pygal.XY | None:
    title = "The last event of a job: us of CPU, by thousands of jobs alive"
    return _curves(figures, title, {REDIS_CURVE: 1000, PROJECTOR_CURVE: 1000})


def _latency(figures: Figures) -> pygal.XY | None:
    return _curves(figures, "Publish to visible: milliseconds, by events a second", {"p50": 1, "p99": 1})


def _curves(figures: Figures, title: str, names: dict[str, int]) -> pygal.XY | None:
    """Return the chart of some curves, their x divided by so much."""
    curves = {name: [(x / by, round(y, 2)) for x, y in figures.curve(name)] for name, by in names.items()}
    if not all(curves.values()):
        return None
    chart = pygal.XY(title=title, include_x_axis=True, x_label_rotation=0, **_LOOKS)
    chart.x_labels = sorted({x for points in curves.values() for x, _ in points})
    for name, points in curves.items():
        chart.add(name, points)
    return chart


PLOTS: Final[dict[str, Callable[[Figures], pygal.graph.graph.Graph | None]]] = {
    "rate": _rate,
    "cost": _cost,
    "latency": _latency,
}
