"""The reader: lookups of the same moment share one round trip to Redis.

A call for each request would cost three times what all the rest of a request does. So a lookup only joins a queue;
a few pumps take everything that waits, ask once for each bucket, and hand each lookup its own answer.

- Those who ask the same at the same moment share one lookup.
- A request that goes away cancels its own wait and nothing else: the call belongs to the pump.
- A call that fails or takes too long fails the lookups that were in it; the next lookups are asked anew.
- While all pumps wait for Redis, more lookups gather: the busier it is, the more share a round trip.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import structlog

from api.errors import DamagedKeyError
from api.generation import Bucket
from api.lookup import Answer, Lookup, answer_of
from api.standing import Standing, check_ready, standing
from api.store import CALL_TIMEOUT_SECONDS, Store
from api.watermark import Watermarks, check_not_behind

PUMPS: Final = 2
# How long whoever asks waits at most: for the call that was under way when the lookup came, and for its own.
DEADLINE_SECONDS: Final = 0.8
SHORTEST_CALL_SECONDS: Final = 0.3

# A lookup, its answer, and when whoever asks began to wait, by the loop's clock.
_Waiting = tuple[Lookup, asyncio.Future[Answer], float]
_log = structlog.get_logger(__name__)


class Reader:
    """Answers lookups; `run` must be running."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watermarks = Watermarks()
        self._queues: defaultdict[Bucket, list[_Waiting]] = defaultdict(list)
        self._arrived = asyncio.Event()

    def ask(self, bucket: Bucket, lookup: Lookup) -> asyncio.Future[Answer]:
        """Return what will be the answer; it raises UnavailableError when there is no right one now."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._queues[bucket].append((lookup, answer, loop.time()))
        self._arrived.set()
        return answer

    async def run(self) -> None:
        """Serve lookups until cancelled."""
        async with asyncio.TaskGroup() as pumps:
            for _ in range(PUMPS):
                pumps.create_task(self._pump())

    async def _pump(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(0)  # the other requests of this turn of the loop join in
            self._arrived.clear()
            queues, self._queues = self._queues, defaultdict(list)
            await asyncio.gather(*(self._serve(bucket, waiting) for bucket, waiting in queues.items()))

    async def _serve(self, bucket: Bucket, waiting: Sequence[_Waiting]) -> None:
        """Answer lookups of one bucket, those that go on with a long answer last."""
        asked = [one for one in waiting if not one[1].done()]
        asked.sort(key=_goes_on)
        try:
            if asked:
                await self._ask_store(bucket, asked)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer of those who wait
            for _, answer, _ in asked:
                _fail(answer, error)

    async def _ask_store(self, bucket: Bucket, asked: Sequence[_Waiting]) -> None:
        watermark = self._watermarks.of(bucket)
        waited = asyncio.get_running_loop().time() - min([since for _, _, since in asked])
        timeout = min(CALL_TIMEOUT_SECONDS, max(SHORTEST_CALL_SECONDS, DEADLINE_SECONDS - waited))
        lookups = list(dict.fromkeys([lookup for lookup, _, _ in asked]))
        reply = await self._store.read(bucket, lookups, timeout)
        now = standing(reply)
        if now.is_sealed:
            self._store.suspect_generation()
        check_ready(now, bucket.incarnation)
        check_not_behind(now.positions, watermark)
        self._watermarks.raise_to(bucket, now.positions)
        milliseconds = int(reply[0])
        replies = dict(zip(lookups, reply[4:], strict=True))
        for lookup, answer, _ in asked:
            if not answer.done():
                _resolve(answer, replies[lookup], now, milliseconds)


def _goes_on(waiting: _Waiting) -> bool:
    return waiting[0].after is not None


def _resolve(answer: asyncio.Future[Answer], reply: Sequence[Any], now: Standing, milliseconds: int) -> None:
    try:
        answer.set_result(answer_of(reply, now, milliseconds))
    except DamagedKeyError as error:
        _log.error("a key of the projection is damaged", key=error.key)
        _fail(answer, error)


def _fail(answer: asyncio.Future[Answer], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # seen, also when whoever waited goes away in this very moment
