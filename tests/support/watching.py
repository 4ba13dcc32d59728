"""A reader that asks all the time, and notes whatever no reader may ever see."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.deployment import get


@dataclass
class Watch:
    """What a reader saw: how many answers, out of which generations, and what was wrong with any."""

    answers: int = 0
    generations: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _statuses: dict[tuple[str, int], int] = field(default_factory=dict)

    def see(self, status: int, headers: dict[str, str], body: Any) -> None:
        """Note an answer to a query by owner."""
        self.answers += 1
        if status != 200:
            self.wrong.append(f"{status}: {body}")
            return
        generation = headers["Projection-Generation"]
        if self.generations[-1:] != [generation]:
            self.generations.append(generation)
        attempts: dict[str, int] = {}
        statuses: dict[tuple[str, int], int] = {}
        for job in reversed(body):
            attempt = attempts[job["jobId"]] = attempts.get(job["jobId"], 0) + 1
            statuses[job["jobId"], attempt] = job["status"]
        older = {
            job: (before, statuses.get(job)) for job, before in self._statuses.items() if statuses.get(job, 0) < before
        }
        if older:
            self.wrong.append(f"generation {generation} shows less than before: {dict(list(older.items())[:3])}")
        self._statuses = statuses


@contextmanager
def watched(api: str, owner: str) -> Iterator[Watch]:
    """Ask for the jobs of an owner, one query after the other, until the block is left."""
    watch = Watch()
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            watch.see(*get(api, f"/api/v1/operator/status?owner={owner}"))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield watch
    finally:
        is_over.set()
        asking.join()
