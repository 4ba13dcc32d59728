"""The table: every figure of `make bench`, with its goal beside it where it has one.

Medians of all rounds of one run.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tests.bench.figures import Figures

NOT_MEASURED: Final = "not measured"


class Goal(NamedTuple):
    """What a figure is wanted to be, and what would be better still; at least, or at most."""

    wanted: float
    aim: float | None = None
    is_least: bool = False

    def reached_by(self, value: float) -> str:
        """Return which of them a figure reaches."""
        return "aim" if self._is_met(self.aim, value) else "yes" if self._is_met(self.wanted, value) else "no"

    def _is_met(self, goal: float | None, value: float) -> bool:
        return goal is not None and (value >= goal if self.is_least else value <= goal)


class Row(NamedTuple):
    """A figure: its key, which begins with the part that measures it, its unit, and what it is."""

    key: str
    unit: str
    measure: str

    @property
    def part(self) -> str:
        """What measures it."""
        return self.key.partition("/")[0]

    @property
    def goal(self) -> Goal | None:
        """What it is wanted to be, if that was said."""
        return GOALS.get(self.key)


def _catch_up() -> Iterator[Row]:
    for workload, apart in (("near", "500 events apart"), ("far", "50,000 apart")):
        for aof in ("off", "on"):
            key, name = f"catch-up/{workload}/{aof}", f"a job's events {apart}, append-only file {aof}"
            yield Row(f"{key}/ratio", "times", f"catch-up beside the plain pipeline: {name}")
            yield Row(f"{key}/plain", "events/s", f"the plain pipeline: {name}")
            yield Row(f"{key}/projector", "events/s", f"one projector: {name}")
            yield Row(f"{key}/projector cpu", "us", f"CPU of the projector for an event: {name}")
            yield Row(f"{key}/redis cpu", "us", f"CPU of Redis for an event: {name}")


GOALS: Final = {
    "catch-up/near/off/ratio": Goal(5, 8, is_least=True),
    "catch-up/near/off/projector cpu": Goal(5.5, 4),
    "catch-up/near/off/redis cpu": Goal(5, 3.5),
    "memory/default": Goal(1500, 1200),
    "memory/valkey": Goal(1500, 1200),
    "queries/hot": Goal(0.75, 0.85, is_least=True),
    "queries/random": Goal(0.65, 0.75, is_least=True),
    "lists/rate": Goal(150_000, is_least=True),
    "lists/first": Goal(10),
    "lists/calls": Goal(1),
    "lists/beside": Goal(10),
    "latency/2000/p50": Goal(5),
    "latency/2000/p99": Goal(15),
    "rebuild/ratio": Goal(2),
}
ROWS: Final = (
    *_catch_up(),
    Row("memory/default", "bytes", "a job with history and three indexes: redis-server, defaults"),
    Row("memory/valkey", "bytes", "a job with history and three indexes: Valkey of the package, defaults"),
    Row("memory/plain", "bytes", "a job as a plain hash with three sets, no history: redis-server, defaults"),
    Row("queries/hot", "times", "status query of one job beside a constant body"),
    Row("queries/random", "times", "status query of jobs at random beside a constant body"),
    Row("queries/hot cpu", "us", "CPU of the API for a query of one job"),
    Row("queries/random cpu", "us", "CPU of the API for a query of jobs at random"),
    Row("queries/constant cpu", "us", "CPU of aiohttp for a constant body"),
    Row("lists/rate", "jobs/s", "list of 10,000 jobs of an owner"),
    Row("lists/first", "ms", "list of 10,000 jobs: its first byte"),
    Row("lists/cpu", "us", "CPU of the API for a job of that list"),
    Row("lists/calls", "calls", "64 clients that ask for lists of 20 at once: round trips for each"),
    Row("lists/beside", "ms", "p99 of small queries while 20 clients read lists of 10,000"),
    Row("lists/alone", "ms", "p99 of the same small queries alone"),
    Row("latency/200/p50", "ms", "publish to visible at 200 events/s: p50"),
    Row("latency/200/p99", "ms", "publish to visible at 200 events/s: p99"),
    Row("latency/2000/p50", "ms", "publish to visible at 2,000 events/s: p50"),
    Row("latency/2000/p99", "ms", "publish to visible at 2,000 events/s: p99"),
    Row("rebuild/ratio", "times", "p99 of queries at 200/s during a rebuild at full speed beside none"),
    Row("rebuild/alone", "ms", "p99 of queries at 200/s, without a rebuild"),
    Row("rebuild/during", "ms", "p99 of queries at 200/s, during a rebuild at full speed"),
    Row("rebuild/rate", "events/s", "that rebuild"),
    Row("hostile/beside", "ms", "p99 of a good client beside 500 slow readers, 50 searches and 3 who ask for 250 MB"),
    Row("hostile/alone", "ms", "p99 of that client alone"),
    Row("hostile/memory", "MiB", "memory of the API beside them, at most"),
    Row("replay/rate/1", "events/s", "rebuild in one process"),
    Row("replay/rate/2", "events/s", "rebuild in two processes"),
    Row("replay/verify", "times", "verify beside rebuild, as whole commands"),
    Row("replay/memory/command", "MiB", "memory of the command of a rebuild"),
    Row("replay/memory/follower", "MiB", "memory of one of its followers"),
)


def markdown(figures: Figures) -> str:
    """Return the tables: first what has a goal, then what has none."""
    goals = [row for row in ROWS if row.goal]
    others = [row for row in ROWS if not row.goal and figures.median(row.key) is not None]
    return "\n".join(
        [
            "| measure | median | of all rounds | wanted | aim | reached |",
            "|---|---|---|---|---|---|",
            *(_line(row, figures, *_goals(row, figures)) for row in goals),
            "",
            "| beside it | median | of all rounds |",
            "|---|---|---|",
            *(_line(row, figures) for row in others),
        ]
    )


def plain(figures: Figures, parts: Sequence[str]) -> Iterator[str]:
    """Yield the lines that a terminal shows of what was measured."""
    for row in ROWS:
        if row.part in parts:
            goal = f"  wanted {shown(row.goal.wanted)}: {_goals(row, figures)[-1]}" if row.goal else ""
            yield f"  {row.measure}: {_figure(row, figures)} {row.unit} ({_spread(row, figures)}){goal}"


def missing(figures: Figures, parts: Sequence[str]) -> list[str]:
    """Return the keys of rows of these parts that were not measured."""
    return [row.key for row in ROWS if row.part in parts and figures.median(row.key) is None]


def shown(value: float | None) -> str:
    """Return a figure with the three digits that count, or more."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 10 else f"{value:.2f}".rstrip("0").removesuffix(".")


def _line(row: Row, figures: Figures, *goals: str) -> str:
    return f"| {' | '.join([row.measure, f'{_figure(row, figures)} {row.unit}', _spread(row, figures), *goals])} |"


def _figure(row: Row, figures: Figures) -> str:
    found = figures.median(row.key)
    return NOT_MEASURED if found is None else shown(found)


def _spread(row: Row, figures: Figures) -> str:
    found = figures.spread(row.key)
    return "" if found is None else f"{shown(found[0])} to {shown(found[1])}"


def _goals(row: Row, figures: Figures) -> tuple[str, str, str]:
    found, goal = figures.median(row.key), row.goal
    if goal is None:
        return "", "", ""
    return shown(goal.wanted), shown(goal.aim), "" if found is None else goal.reached_by(found)
