"""Collecting: jobs without news since the catalog's cutoff leave the projection with their index entries.

Readers hide them anyway, so there is no hurry: every projector does it in small steps with pauses between them, and
whoever comes second finds nothing. Positions and ledgers stay as they are.

Case 1: a projector dies between two steps, or Redis loses one. The next walk finds what is left.
Case 2: a bucket has not caught up with the log. A job that looks old may have news that is not applied yet, and would
        lose its earlier stages if it went now. So the script refuses until the bucket has caught up.
Case 3: Redis is full while a bucket has not caught up, so that neither can go on. The bucket is sifted from then on
        (see store/sifting.py): what is taken out of it too early comes back, and what is old does not.
Case 4: Redis is full, and so a bucket that is shown falls behind the log. Old jobs make room without waiting for it;
        one that has news in what is not applied yet comes back as in the next case.
Case 5: a late event brings back a job that has gone. It has the stages of that event alone, until a rebuild; when that
        is old news too, it is hidden, and a later walk takes it.
Case 6: jobs go to make room. They are not remembered as gone: that is a courtesy, and would take the room again.
"""

import asyncio
import time
from contextlib import aclosing
from typing import Final

import structlog
from prometheus_client import Counter

from projector.errors import ProjectorError
from projector.expiry.gone import GoneJobs
from projector.expiry.walk import Mode, OldJobs
from projector.store.live import Live
from projector.store.memory import is_full
from schemas.redis_layout import Pointer
from service.redis import AnyRedis

INTERVAL_SECONDS: Final = 1.0
# Between two steps: this long, and so many times as long as the step took, for then Redis has other work too.
PAUSE_SECONDS: Final = 0.05
PAUSE_PER_STEP: Final = 20
# After a walk that found nothing, for late events can bring old jobs back.
REST_SECONDS: Final = 600.0

_log = structlog.get_logger(__name__)


class Collector:
    """Collects old jobs of the live generation, and counts them, until it is cancelled."""

    def __init__(self, redis: AnyRedis, prefix: str, store: Live, counter: Counter) -> None:
        self._redis = redis
        self._prefix = prefix
        self._store = store
        self._counter = counter
        self._gone = GoneJobs(redis, prefix)
        # What was walked through last without finding anything, and when.
        self._clean: tuple[Pointer, str] | None = None
        self._cleaned_at = 0.0
        self._waits = False  # for a bucket that has to catch up
        self.trouble: str | None = None

    async def run(self) -> None:
        """Collect for ever; what goes wrong is tried again."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                must_make_room = self._waits and await is_full(self._redis)
                await self._sift(must_begin=must_make_room)
                if self._is_due():
                    mode = Mode.MAKE_ROOM if must_make_room else Mode.COLLECT
                    await self._walk(self._store.generation.pointer, self._store.cutoff, mode)
            except ProjectorError as error:
                self._note(str(error) or type(error).__name__)
            else:
                self._note(None)

    async def _sift(self, *, must_begin: bool) -> None:
        """Go on with what is sifted; begin to, where old jobs are all that can make room."""
        generation = self._store.generation
        if generation.sifts:
            generation.sifts = await generation.sifting.go_on()
        elif must_begin and self._store.cutoff:
            begun = await generation.sifting.begin(self._store.cutoff)
            if begun:
                _log.warning("Redis is full, so it is filled anew without old jobs", buckets=begun)

    def _is_due(self) -> bool:
        if not self._store.cutoff:
            return False
        if self._store.generation.sifts:
            return True
        has_rested = time.monotonic() - self._cleaned_at > REST_SECONDS
        return has_rested or self._clean != (self._store.generation.pointer, self._store.cutoff)

    async def _walk(self, pointer: Pointer, cutoff: str, mode: Mode) -> None:
        """Walk through all jobs once, or until there is another cutoff."""
        collected = 0
        began = time.monotonic()
        async with aclosing(OldJobs(self._redis, self._prefix, pointer).steps(cutoff, mode)) as steps:
            async for step in steps:
                self._waits = step is None
                if step:
                    collected += step.old
                    self._counter.inc(step.old)
                    if mode is Mode.COLLECT and not self._store.generation.sifts:  # else it would take the room again
                        await self._gone.note(step.went)
                elif await is_full(self._redis):
                    break  # it would be for ever, for nothing catches up without room
                if not self._store.generation.sifts:  # of which nobody reads
                    await asyncio.sleep(PAUSE_SECONDS + PAUSE_PER_STEP * (time.monotonic() - began))
                if self._store.cutoff != cutoff:
                    break
                began = time.monotonic()
            else:
                if not collected:
                    self._clean, self._cleaned_at = (pointer, cutoff), time.monotonic()
        if collected:
            _log.info("collected jobs without news since the cutoff", jobs=collected, cutoff=cutoff)

    def _note(self, trouble: str | None) -> None:
        if trouble and trouble != self.trouble:
            _log.warning("old jobs are not collected now", detail=trouble)
        self.trouble = trouble
