"""The reader: lookups of the same moment share one round trip to Redis.

A call for each request would cost three times what all the rest of a request does. So a lookup only joins the line of
its bucket; what waits there is asked at once, and each lookup gets its own answer.

- Those who ask the same at the same moment share one lookup.
- A request that goes away cancels its own wait and nothing else: the call belongs to the line.
- A call that fails or takes too long fails the lookups that were in it; the next lookups are asked anew. Those that
  have then waited for so long that they could not be given a whole call fail with it, however many are before them.
- While all calls that a bucket may have are under way, more lookups gather: the busier it is, the more share a call.
- A call takes no more lookups than the script can serve in full, as far as one can know: who is served in part has to
  ask again.
- Each bucket has a line of its own: one on a node that hangs delays nobody at the others.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from api.projection.buckets import Buckets
from api.projection.errors import StoreUnavailableError
from api.projection.generation import Bucket
from api.projection.lookup import Changed, Changes, Lookup, Portion
from api.projection.store import CALL_TIMEOUT_SECONDS
from schemas.redis_layout import INDEXES

CALLS_PER_BUCKET: Final = 2
# How long whoever asks waits at most: for a call that was under way when the lookup came, and for its own.
LOOKUP_SECONDS: Final = 0.8
SHORTEST_CALL_SECONDS: Final = 0.3
# What the script may do in a call, and what a lookup and a job of it take, in its own units (see `read.lua`).
CALL_WORK: Final = 2000
LOOKUP_WORK: Final = 4
JOB_WORK: Final = 7
# Who names a job asks for a few attempts at most.
ATTEMPTS: Final = 2

_JOB_INDEX: Final = INDEXES[-1]
# A lookup, its answer, and when whoever asks began to wait, by the loop's clock.
_Waiting = tuple[Lookup | Changes, asyncio.Future[Any], float]


class _Line:
    """Who waits for a call to one bucket, how many calls are under way, and whether the next one is about to begin."""

    __slots__ = ("calls", "is_about_to_call", "waiting")

    def __init__(self) -> None:
        self.waiting: list[_Waiting] = []
        self.calls = 0
        self.is_about_to_call = False

    def next_call(self) -> list[_Waiting]:
        """Take those who share the next call from the start of the line; who asks what another one asks is free."""
        lookups: set[Lookup | Changes] = set()
        work = 0
        if len(self.waiting) == 1:
            taken, self.waiting = self.waiting, []
            return taken
        for count, (lookup, _, _) in enumerate(self.waiting):
            if lookup in lookups:
                continue
            work += _work(lookup)
            if work > CALL_WORK and lookups:
                taken, self.waiting = self.waiting[:count], self.waiting[count:]
                return taken
            lookups.add(lookup)
        taken, self.waiting = self.waiting, []
        return taken

    def given_up(self) -> list[_Waiting]:
        """Take those who have waited so long that no whole call is left of what they may wait."""
        since = asyncio.get_running_loop().time() - LOOKUP_SECONDS + SHORTEST_CALL_SECONDS
        given_up = [one for one in self.waiting if one[2] < since]
        self.waiting = [one for one in self.waiting if one[2] >= since]
        return given_up


class Reader:
    """Answers lookups, until it is closed."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._lines: dict[Bucket, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, bucket: Bucket, lookup: Lookup) -> asyncio.Future[Portion]:
        """Return what will be the answer; it raises UnavailableError when there is no right one now."""
        return self._ask(bucket, lookup)

    def ask_changes(self, bucket: Bucket, changes: Changes) -> asyncio.Future[Changed]:
        """Return what will be the answer, as `ask` does."""
        return self._ask(bucket, changes)

    def _ask(self, bucket: Bucket, lookup: Lookup | Changes) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        line = self._lines.get(bucket)
        if line is None:
            line = self._lines[bucket] = _Line()
        line.waiting.append((lookup, answer, loop.time()))
        self._have_called(bucket, line)
        return answer

    def _have_called(self, bucket: Bucket, line: _Line) -> None:
        """Have those who wait served soon, unless as many calls as there may be are about that."""
        if line.waiting and not line.is_about_to_call and line.calls < CALLS_PER_BUCKET:
            line.is_about_to_call = True
            task = asyncio.get_running_loop().create_task(self._call(bucket, line))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Break off the calls under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _call(self, bucket: Bucket, line: _Line) -> None:
        """Serve who waits, again and again until nobody does."""
        await asyncio.sleep(0)  # the other requests of this turn of the loop join in
        line.is_about_to_call = False
        line.calls += 1
        while line.waiting:
            waiting = line.next_call()
            self._have_called(bucket, line)
            await self._serve(bucket, line, waiting)
        line.calls -= 1
        if not line.calls and not line.is_about_to_call:
            del self._lines[bucket]

    async def _serve(self, bucket: Bucket, line: _Line, waiting: list[_Waiting]) -> None:
        """Answer lookups of one bucket: those that go on with a long answer, or with a stream, last."""
        asked = [one for one in waiting if not one[1].done()]
        asked.sort(key=_goes_on)
        try:
            if asked:
                await self._ask_bucket(bucket, asked)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer of those who wait
            if isinstance(error, StoreUnavailableError):
                asked += line.given_up()
            _fail_all(asked, error)
        finally:  # an error holds this frame, which would hold what failed until garbage is looked for
            waiting.clear()
            asked.clear()

    async def _ask_bucket(self, bucket: Bucket, asked: Sequence[_Waiting]) -> None:
        waited = asyncio.get_running_loop().time() - min([since for _, _, since in asked])
        timeout = min(CALL_TIMEOUT_SECONDS, max(SHORTEST_CALL_SECONDS, LOOKUP_SECONDS - waited))
        lookups = list(dict.fromkeys([lookup for lookup, _, _ in asked]))
        portions = dict(zip(lookups, await self._buckets.look_up(bucket, lookups, timeout), strict=True))
        for lookup, answer, _ in asked:
            portion = portions[lookup]
            if isinstance(portion, Exception):
                _fail(answer, portion)
            elif not answer.done():
                answer.set_result(portion)


def _work(lookup: Lookup | Changes) -> int:
    """Return about how much the script has to do for a lookup, as far as one can know: mostly little has changed."""
    names_job = isinstance(lookup, Changes) or any(map(_names_job, lookup.indexes))
    return LOOKUP_WORK + JOB_WORK * (min(lookup.wanted, ATTEMPTS) if names_job else lookup.wanted)


def _names_job(index: str) -> bool:
    return index.startswith(_JOB_INDEX)


def _goes_on(waiting: _Waiting) -> bool:
    # Whoever follows all jobs, in no index, tells everybody.
    return waiting[0].after is not None and waiting[0].indexes != ()


def _fail_all(asked: Sequence[_Waiting], error: Exception) -> None:
    for _, answer, _ in asked:
        _fail(answer, error)


def _fail(answer: asyncio.Future[Portion], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # seen, also when whoever waited goes away in this very moment
