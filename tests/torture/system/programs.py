"""The programs under torture: started as an operator starts them, and started again when they end."""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devstack.child import Child

POLL_SECONDS: Final = 0.02
RESTART_SECONDS: Final = 0.3
END_SECONDS: Final = 10.0
EXIT_DONE, EXIT_UNAVAILABLE, EXIT_KILLED, EXIT_TERMINATED = 0, 75, -9, -15
# Terminated: it was asked to end before it had begun.
EXPECTED_EXITS: Final = frozenset({EXIT_DONE, EXIT_UNAVAILABLE, EXIT_KILLED, EXIT_TERMINATED})
NEVER_ENDED: Final = "not within the limit"


@dataclass
class Life:
    """One process of a program: when it was started, answered first, and ended (Unix seconds)."""

    started: float
    answered: float | None = None
    ended: float | None = None


class Program:
    """A program that is kept running; `name` is also that of its log.

    States: away -> start() -> running -> its end -> (a pause) -> running ...; stop() -> away.
    """

    def __init__(self, name: str, arguments: tuple[str, ...], log_path: Path, say: Callable[[str], None]) -> None:
        self.name = name
        self.lives: list[Life] = []
        self.exits: list[int | str] = []
        self._arguments = (sys.executable, "-m", *arguments)
        self._log_path = log_path
        self._say = say
        self._environment: Mapping[str, str] = {}
        self._child: Child | None = None
        self._is_wanted = False
        self._not_before = 0.0

    @property
    def number(self) -> int:
        """Which life it is in, from 0; -1 before the first."""
        return len(self.lives) - 1

    @property
    def unexpected_exits(self) -> list[int | str]:
        """Exit codes that no fault explains, and that it did not end when it was asked to."""
        return [code for code in self.exits if code not in EXPECTED_EXITS]

    def was_up(self, life: int, since: float, until: float) -> bool:
        """Tell whether that process had answered before and had not ended after that span of time."""
        if not 0 <= life < len(self.lives):
            return False
        it = self.lives[life]
        return it.answered is not None and it.answered <= since and (it.ended is None or it.ended > until)

    def answers(self) -> None:
        """Note that the process answered something."""
        if self.lives and self.lives[-1].answered is None:
            self.lives[-1].answered = time.time()

    def configure(self, environment: Mapping[str, str]) -> None:
        """Set the environment of the next start."""
        self._environment = environment

    async def keep_running(self) -> None:
        """Start it whenever it should run and does not, for ever."""
        while True:
            if self._child and not self._child.is_running:
                self._bury(self._child)
            if self._is_wanted and not self._child and time.monotonic() >= self._not_before:
                self.lives.append(Life(time.time()))
                self._child = Child(self._arguments, self._log_path, dict(self._environment))
            await asyncio.sleep(POLL_SECONDS)

    def start(self) -> None:
        """Have it run."""
        self._is_wanted = True
        self._not_before = 0.0

    async def stop(self) -> None:
        """Have it end, cleanly, and not run."""
        self._is_wanted = False
        await self._end(clean=True)

    async def kill(self, away_seconds: float) -> bool:
        """End it with SIGKILL, and say whether there was anything to kill; it is started again after a pause."""
        self._not_before = time.monotonic() + max(away_seconds, RESTART_SECONDS)
        return await self._end(clean=False)

    async def restart(self, away_seconds: float) -> None:
        """End it cleanly; it is started again after a pause."""
        self._not_before = time.monotonic() + max(away_seconds, RESTART_SECONDS)
        await self._end(clean=True)

    async def pause(self, seconds: float) -> None:
        """Stop it where it is, and let it go on later."""
        if child := self._child:
            child.pause()
            try:
                await asyncio.sleep(seconds)
            finally:
                child.resume()

    @property
    def pid(self) -> int | None:
        """Its process id, when it runs."""
        return self._child.pid if self._child else None

    async def _end(self, *, clean: bool) -> bool:
        if not (child := self._child):
            return False
        self.lives[-1].ended = time.time()
        await asyncio.to_thread(child.stop if clean else child.kill, *((END_SECONDS,) if clean else ()))
        if clean and child.exit_code == EXIT_KILLED:
            self.exits.append(NEVER_ENDED)
        self._bury(child)
        return True

    def _bury(self, child: Child) -> None:
        if self._child is not child:
            return
        self._child = None
        if self.lives[-1].ended is None:
            self.lives[-1].ended = time.time()
            self._not_before = max(self._not_before, time.monotonic() + RESTART_SECONDS)
        self.exits.append(child.exit_code or 0)
        self._say(f"{self.name} {child.ending()}")
