"""What people watch: a board that is drawn anew while jobs move, and the last word below it."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Self

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from schemas.lifecycle import Stage
from worker.watching.ending import Ended
from worker.watching.job import Job
from worker.watching.telling.board import ASCII_SIGNS, SIGNS, board
from worker.watching.telling.sentences import final_sentence, printable, standing


class Screen:
    """Draws on standard error, or on standard output where only that is a terminal; the last word is on the latter."""

    def __init__(self, jobs: Callable[[], Sequence[Job]]) -> None:
        """Draw these."""
        self._jobs = jobs
        self._console = Console(stderr=sys.stderr.isatty(), highlight=False, no_color=bool(os.environ.get("NO_COLOR")))
        self._signs = ASCII_SIGNS if self._console.options.ascii_only else SIGNS
        self._is_drawing = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def __enter__(self) -> Self:
        """Begin to draw."""
        if self._is_drawing:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave on the screen what was drawn last."""
        self.draw()
        self._live.stop()

    def draw(self) -> None:
        """Draw how it stands, with the ages of this moment."""
        if self._live.is_started:
            self._live.update(board(self._jobs(), self._console.height, self._signs), refresh=True)

    def told(self, job: Job) -> None:
        """Show where a job stands: at once, or as a line where nothing can be drawn."""
        if not self._is_drawing:
            self.say(standing(job))

    def gone(self, job: Job) -> None:
        """Tell that there is no such job any more."""
        self.say(f"{job.key.name} is gone")

    def say(self, sentence: str) -> None:
        """Tell something beside, above the board."""
        if self._is_drawing:
            self._console.print(Text(printable(sentence), style="dim"))
        else:
            click.echo(printable(sentence), err=True)

    def end(self, ended: Ended, until: Stage, jobs: Sequence[Job]) -> None:
        """Stop drawing, and say the last word."""
        self.draw()
        self._live.stop()
        click.echo(final_sentence(ended, until, jobs))
