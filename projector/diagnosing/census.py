"""Counting unfinished jobs by why they are where they are, again and again, at a bounded cost.

All jobs are walked through in small steps, with pauses that are many times as long as a step took, so that Redis and
this process have all but a few hundredths of their time for other work, however many jobs there are. One projector does
it: the one that has the topic's first partition.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import structlog

from projector.diagnosing.unfinished import UnfinishedJobs
from projector.errors import ProjectorError
from projector.metrics import Metrics
from projector.store.live import Live
from schemas.diagnosis.causes import diagnose
from schemas.diagnosis.limits import Limits
from service.redis import AnyRedis

# From the end of a walk to the next, and to when it is looked again whether one can begin.
REST_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 1.0
# Between two steps: this long, and so many times as long as the step took.
PAUSE_SECONDS: Final = 0.02
PAUSE_PER_STEP: Final = 20
# So many are diagnosed at a time: a millisecond or two.
CASES_AT_ONCE: Final = 20

_log = structlog.get_logger(__name__)


class Census:
    """Counts, until it is cancelled."""

    def __init__(
        self, redis: AnyRedis, prefix: str, store: Live, limits: Limits, metrics: Metrics, *, is_due: Callable[[], bool]
    ) -> None:
        """`is_due` tells whether it is this projector that counts."""
        self._redis = redis
        self._prefix = prefix
        self._store = store
        self._limits = limits
        self._metrics = metrics
        self._is_due = is_due
        self._trouble: str | None = None

    async def run(self) -> None:
        """Count for ever; what goes wrong is tried again, and until then nothing is said."""
        while True:
            was_counted = await self.once()
            await asyncio.sleep(REST_SECONDS if was_counted else LOOK_SECONDS)

    async def once(self) -> bool:
        """Count once, if that is due and can be done; tell whether it was."""
        try:
            is_due = self._is_due()
            if is_due:
                await self._count()
        except ProjectorError as error:
            self._metrics.forget_jobs()
            self._note(str(error) or type(error).__name__)
            return False
        if not is_due:
            self._metrics.forget_jobs()
        self._note(None)
        return is_due

    async def _count(self) -> None:
        """Walk through all jobs once, and show how many there are."""
        jobs = UnfinishedJobs(self._redis, self._prefix, self._store.generation.pointer, self._limits)
        unfinished, codes = 0, Counter[str]()
        began = time.monotonic()
        async with aclosing(jobs.steps(self._store.cutoff)) as steps:
            async for cases in steps:
                unfinished += len(cases)
                for start in range(0, len(cases), CASES_AT_ONCE):
                    for case in cases[start : start + CASES_AT_ONCE]:
                        codes.update(one.cause.code for one in diagnose(case))
                    await asyncio.sleep(0)
                await asyncio.sleep(PAUSE_SECONDS + PAUSE_PER_STEP * (time.monotonic() - began))
                began = time.monotonic()
        self._metrics.show_jobs(unfinished, codes)

    def _note(self, trouble: str | None) -> None:
        if trouble and trouble != self._trouble:
            _log.warning("unfinished jobs are not counted now", detail=trouble)
        self._trouble = trouble
