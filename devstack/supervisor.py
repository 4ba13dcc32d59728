"""Keep programs running: start them again when they die, slower each time, and end them in order."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from devstack.child import Child
from devstack.errors import ChildDiedError, NotReadyError
from devstack.ports import Say
from devstack.waiting import wait_until

EXIT_DONE = 0
EXIT_USAGE = 2  # starting it again would not help
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 8.0
MOST_DEATHS_IN_A_ROW = 10
LONG_LIFE_SECONDS = 30.0  # who lives that long begins a new row


@dataclass(frozen=True)
class Program:
    """A command that is kept running; when it `ends`, only until its exit code is 0."""

    name: str
    arguments: Sequence[str]
    ends: bool = False


class Supervised:
    """One program.

    States: running -> (it died) -> waiting -> running ...; running -> (exit code 0 of one that ends) -> done.
    """

    def __init__(self, program: Program, log_path: Path, environment: Mapping[str, str], say: Say) -> None:
        """Start it."""
        self.program = program
        self._log_path = log_path
        self._environment = environment
        self._say = say
        self.is_done = False
        self._deaths_in_a_row = 0
        self._start_at: float | None = None
        self._started = 0.0
        self.child: Child | None = None
        self._start()

    def tend(self) -> None:
        """Start it again when that is due; raises ChildDiedError when there is no hope."""
        if self._start_at is not None:
            if time.monotonic() >= self._start_at:
                self._start()
        elif self.child and not self.child.is_running:
            self._mourn(self.child)

    def stop(self) -> None:
        """End it; harmless when it does not run."""
        if self.child:
            self.child.stop()
        self.child = self._start_at = None

    def death(self, child: Child) -> ChildDiedError:
        """Return the error that explains why it ended."""
        return ChildDiedError(name=self.program.name, ending=child.ending(), log_path=self._log_path, tail=child.tail())

    def _start(self) -> None:
        self._start_at = None
        self._started = time.monotonic()
        self.child = Child(self.program.arguments, self._log_path, self._environment)

    def _mourn(self, child: Child) -> None:
        if self.program.ends and child.exit_code == EXIT_DONE:
            self.is_done = True
            self.child = None
        else:
            self._schedule(child)

    def _schedule(self, child: Child) -> None:
        has_lived = time.monotonic() - self._started > LONG_LIFE_SECONDS
        self._deaths_in_a_row = 1 if has_lived else self._deaths_in_a_row + 1
        if child.exit_code == EXIT_USAGE or self._deaths_in_a_row >= MOST_DEATHS_IN_A_ROW:
            raise self.death(child)
        wait_seconds = min(FIRST_BACKOFF_SECONDS * 2 ** (self._deaths_in_a_row - 1), LONGEST_BACKOFF_SECONDS)
        self._start_at = time.monotonic() + wait_seconds
        self._say(f"{self.program.name} {child.ending()}, it starts again in {wait_seconds:g} s (see {self._log_path})")


class Supervisor:
    """The programs of one run; `with` ends them, the latest first."""

    def __init__(self, logs: Path, environment: Mapping[str, str], say: Say) -> None:
        """Name the directory of the logs and what the programs find in their environment."""
        self._logs = logs
        self._environment = environment
        self._say = say
        self._supervised: list[Supervised] = []

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        self.stop()

    def start(self, program: Program) -> Supervised:
        """Start a program and keep it running."""
        supervised = Supervised(program, self._log_path(program), self._environment, self._say)
        self._supervised.append(supervised)
        return supervised

    def tend(self) -> None:
        """Look after them; to be called again and again. Raises ChildDiedError when one cannot be kept running."""
        for supervised in self._supervised:
            supervised.tend()

    def wait_until(self, holds: Callable[[], bool], limit_seconds: float) -> bool:
        """Look after them until it holds; return False when it does not within the limit."""

        def tended() -> bool:
            self.tend()
            return holds()

        return wait_until(tended, limit_seconds)

    def run_to_end(self, program: Program, limit_seconds: float) -> None:
        """Run a program that ends by itself, again when it fails; raises a DevstackError at the limit."""
        supervised = self.start(program)
        if not self.wait_until(lambda: supervised.is_done, limit_seconds):
            log_path = self._log_path(program)
            tail = supervised.child.tail() if supervised.child else ""
            raise NotReadyError(name=program.name, limit_seconds=limit_seconds, log_path=log_path, tail=tail)

    def stop(self) -> None:
        """End them, the latest first."""
        while self._supervised:
            self._supervised.pop().stop()

    def _log_path(self, program: Program) -> Path:
        return self._logs / f"{program.name}.log"
