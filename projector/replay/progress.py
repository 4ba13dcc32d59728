"""How far a long command is: a bar for each partition on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_SECONDS: Final = 5.0

# Name (of a partition, or what else is counted) -> how much of it is done, or how much there is.
Counts = Mapping[str, int]


class Show(Protocol):
    """Shows how far it is."""

    def __call__(self, done: Counts, totals: Counts) -> None:
        """Show it now; totals may grow and names may be added."""


@contextmanager
def progress(what: str, unit: str = "records") -> Iterator[Show]:
    """Yield what shows the progress of something, on standard error, until it is over."""
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:,.0f} " + unit + "/s"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as bars:
            yield _Bars(bars, what)
    else:
        lines = _Lines(what, unit)
        yield lines
        lines.say()


class _Rate:
    """Done per second since the beginning; what was done before that does not count."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._before: int | None = None

    def of(self, done: int) -> float:
        """Return the rate, when so much is done now."""
        if self._before is None:
            self._before = done
        return (done - self._before) / max(0.001, time.monotonic() - self._since)


class _Bars:
    def __init__(self, bars: Progress, what: str) -> None:
        self._bars = bars
        self._what = what
        self._tasks: dict[str, tuple[TaskID, _Rate]] = {}

    def __call__(self, done: Counts, totals: Counts) -> None:
        for name, total in totals.items():
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(f"{self._what} {name}", rate=0.0), _Rate()
            task, rate = self._tasks[name]
            count = done.get(name, 0)
            self._bars.update(task, completed=min(count, total), total=total, rate=rate.of(count))


class _Lines:
    def __init__(self, what: str, unit: str) -> None:
        self._what = what
        self._unit = unit
        self._rate = _Rate()
        self._said_at = time.monotonic()
        self._done: Counts = {}
        self._totals: Counts = {}

    def __call__(self, done: Counts, totals: Counts) -> None:
        self._done, self._totals = dict(done), dict(totals)
        self._rate.of(sum(self._done.values()))
        if time.monotonic() - self._said_at >= LINE_SECONDS:
            self.say()

    def say(self) -> None:
        self._said_at = time.monotonic()
        done, total = sum(self._done.values()), sum(self._totals.values())
        rate = self._rate.of(done)
        left = f"{(total - done) / rate:.0f} s left" if rate and total > done else "nothing left"
        each = ", ".join(f"{name} {self._done.get(name, 0)} of {count}" for name, count in self._totals.items())
        click.echo(f"{self._what}: {done} of {total} {self._unit}, {rate:.0f}/s, {left} ({each})", err=True)
