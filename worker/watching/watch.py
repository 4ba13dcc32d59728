"""Watching: everything that runs until it is decided how the wait ends."""

import asyncio
from asyncio import Task
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, Final, Protocol, Self

from schemas.lifecycle import Stage
from worker.watching.asking.api import Api
from worker.watching.asking.contact import Contact, Say
from worker.watching.asking.errors import LostContactError
from worker.watching.asking.explaining import Explainer
from worker.watching.asking.following import Follower
from worker.watching.ending import Ended, Ending
from worker.watching.job import Job
from worker.watching.matches import Matches, Query
from worker.watching.verdict import Wait, verdict

DRAW_SECONDS: Final = 0.5


class Teller(Protocol):
    """Who tells what is seen: to a person, or to a program."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End."""

    def draw(self) -> None:
        """Draw how it stands now, where something is drawn."""

    def told(self, job: Job) -> None:
        """Tell where a job stands."""

    def gone(self, job: Job) -> None:
        """Tell that there is no such job any more."""

    def say(self, sentence: str) -> None:
        """Tell something beside."""

    def end(self, ended: Ended, until: Stage, jobs: Sequence[Job]) -> None:
        """Say the last word."""


class Watch:
    """One wait."""

    def __init__(self, wait: Wait) -> None:
        """Know nothing yet."""
        self._wait = wait
        self._known: list[Matches] = []
        self._changed = asyncio.Event()

    def jobs(self) -> list[Job]:
        """Return all jobs that are known; one that matches several queries once."""
        return list({job.key: job for matches in self._known for job in matches.jobs.values()}.values())

    async def run(self, api: Api, teller: Teller, is_asked_to_end: asyncio.Event) -> Ended:
        """Watch until it is decided; RefusedError when the API refuses the question."""
        say = _without_repetition(teller.say)
        self._known = [Matches(query, self._changed, teller.told, teller.gone) for query in self._wait.queries]
        judging = asyncio.create_task(self._judge(say))
        asked = asyncio.create_task(is_asked_to_end.wait())
        beside = [asyncio.create_task(work) for work in self._works(api, teller, say)]
        try:
            return await self._first(judging, asked, beside)
        except LostContactError as error:
            return Ended(Ending.LOST_CONTACT, why=str(error))
        finally:
            for task in (judging, asked, *beside):
                task.cancel()
            await asyncio.gather(judging, asked, *beside, return_exceptions=True)

    def _works(self, api: Api, teller: Teller, say: Say) -> Iterator[Coroutine[Any, Any, None]]:
        yield _draw(teller)
        for matches in self._known:
            yield Follower(api, matches, Contact(say, self._wait.max_faults), say).run()
            yield Explainer(api, matches, Contact(say, self._wait.max_faults)).run()

    async def _judge(self, say: Say) -> Ended:
        awaited: set[Query] = set()
        while (ended := verdict(self._known, self._wait.goal)) is None:
            for query in {matches.query for matches in self._known if matches.is_missing} - awaited:
                awaited.add(query)
                say(f"no job matches {query.name} yet: waiting for it to appear")
            await self._changed.wait()
            self._changed.clear()
        if ended.ending is Ending.NOT_FOUND:
            say("was it ever reported, and to this API? --wait-for-appearance waits until it is")
        return ended

    async def _first(self, judging: Task[Ended], asked: Task[Any], beside: Sequence[Task[None]]) -> Ended:
        """Return how the wait ends: by what is known, by who asked for it, or by the time that has passed."""
        limit, clock = self._wait.timeout_seconds, asyncio.get_running_loop().time
        end = None if limit is None else clock() + limit
        pending: set[Task[Any]] = {judging, asked, *beside}
        while True:
            left = None if end is None else max(end - clock(), 0)
            done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if judging in done:
                return judging.result()
            if asked in done:
                return Ended(Ending.INTERRUPTED)
            if not done:
                return Ended(Ending.GAVE_UP, why=f"after {limit:g} s")
            for task in done:
                task.result()  # what follows a query ends without a word when all has ended


async def _draw(teller: Teller) -> None:
    while True:
        teller.draw()
        await asyncio.sleep(DRAW_SECONDS)


def _without_repetition(say: Say) -> Say:
    """Return who says a sentence once, though several who ask meet the same."""
    latest = ""

    def say_news(sentence: str) -> None:
        nonlocal latest
        if sentence != latest:
            latest = sentence
            say(sentence)

    return say_news
