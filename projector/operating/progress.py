"""How far a long command is: a bar for each part on a terminal, a plain line now and then elsewhere.

A command goes through stages, one after the other; each has parts of its own (partitions, jobs) and a unit. A rate is
of the stage, and what was done before it was first shown does not count.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple, Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_SECONDS: Final = 5.0
# Of more parts a line names those that have most to do yet.
NAMED_PARTS: Final = 8

# Name (of a partition, or what else is counted) -> how much of it is done, or how much there is.
Counts = Mapping[str, int]


class Stage(NamedTuple):
    """What is done now, and what its parts are counted in; `waits` tells that others have to do something first."""

    what: str
    unit: str = "records"
    waits: str = ""

    def __str__(self) -> str:
        """Return what a line begins with."""
        return f"{self.what} (waits for {self.waits})" if self.waits else self.what


class Show(Protocol):
    """Shows how far it is."""

    def __call__(self, done: Counts, totals: Counts, stage: Stage | None = None) -> None:
        """Show it now; totals may grow and names may be added, and have none where nobody knows how much there is.

        Without a stage it is the command's first one.
        """


def silent(done: Counts, totals: Counts, stage: Stage | None = None) -> None:
    """Show nothing."""


@contextmanager
def progress(what: str, unit: str = "records") -> Iterator[Show]:
    """Yield what shows the progress of something, on standard error, until it is over."""
    first = Stage(what, unit)
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as bars:
            yield _Bars(bars, first)
    else:
        lines = _Lines(first)
        yield lines
        if lines.has_shown:
            lines.say()


class _Rate:
    """Done per second since the beginning; what was done before that does not count."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._before: int | None = None

    def of(self, done: int) -> float:
        """Return the rate, when so much is done now."""
        if self._before is None or done < self._before:  # it began, or began anew
            self._before, self._since = done, time.monotonic()
        return (done - self._before) / max(0.001, time.monotonic() - self._since)


class _Bars:
    def __init__(self, bars: Progress, first: Stage) -> None:
        self._bars = bars
        self._first = self._stage = first
        self._tasks: dict[str, tuple[TaskID, _Rate]] = {}

    def __call__(self, done: Counts, totals: Counts, stage: Stage | None = None) -> None:
        if (now := stage or self._first) != self._stage:
            self._stage = now
            self._tasks = {}  # the bars of the stage before stay as they are
        for name in totals or done:
            total = totals.get(name)
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(f"{now} {name}", rate="", total=total), _Rate()
            task, rate = self._tasks[name]
            count = done.get(name, 0)
            told = f"{rate.of(count):,.0f} {now.unit}/s"
            self._bars.update(task, completed=count if total is None else min(count, total), total=total, rate=told)


class _Lines:
    def __init__(self, first: Stage) -> None:
        self._first = self._stage = first
        self._rate = _Rate()
        self._said_at = 0.0
        self._done: Counts = {}
        self._totals: Counts = {}

    def __call__(self, done: Counts, totals: Counts, stage: Stage | None = None) -> None:
        now = stage or self._first
        is_new = now != self._stage or not self._said_at
        if is_new:
            self._stage, self._rate = now, _Rate()
        self._done, self._totals = dict(done), dict(totals)
        self._rate.of(sum(self._done.values()))
        if is_new or time.monotonic() - self._said_at >= LINE_SECONDS:
            self.say()

    @property
    def has_shown(self) -> bool:
        """Whether anything was shown."""
        return bool(self._said_at)

    def say(self) -> None:
        self._said_at = time.monotonic()
        done, total = sum(self._done.values()), sum(self._totals.values())
        rate = self._rate.of(done)
        if not self._totals:
            counted = f": {done} {self._stage.unit}, {rate:.0f}/s" if self._done else ""
            click.echo(f"{self._stage}{counted}", err=True)
            return
        left = (
            "nothing left" if done >= total else f"{(total - done) / rate:.0f} s left" if rate else "time left unknown"
        )
        each = ", ".join(f"{name} {self._done.get(name, 0)} of {count}" for name, count in self._last_of_all())
        unit = self._stage.unit
        click.echo(f"{self._stage}: {done} of {total} {unit}, {rate:.0f}/s, {left} ({each})", err=True)

    def _last_of_all(self) -> list[tuple[str, int]]:
        """Return the parts that have most to do yet, as many as a line may name."""
        left = {name: count - self._done.get(name, 0) for name, count in self._totals.items()}
        chosen = set(sorted(left, key=left.__getitem__, reverse=True)[:NAMED_PARTS])
        return [(name, count) for name, count in self._totals.items() if name in chosen]
