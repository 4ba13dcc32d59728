"""Workers that never stop: a stream of simulated records, straight to the broker, so that the log itself is intact."""

import asyncio
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.lifecycle import STAGES
from tests.torture.clients.acknowledged import Acknowledged
from tests.torture.system.limits import stopped, within
from worker.simulation import Mix, SimulatedRecord, events

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNERS: Final = 40
EVENTS_PER_SECOND: Final = 560
BURST_EVENTS_PER_SECOND: Final = 2_500
BURST_SHARE: Final = 0.08  # of the seconds
MOST_BEHIND_SECONDS: Final = 10.0
TURN_SECONDS: Final = 0.05
FLUSH_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 30.0
SEED_OF_LARGEST: Final = 10**12  # beyond all others
RECENT_JOBS: Final = 1_500
# One owner has so many jobs that nobody gets them in one piece.
LARGEST_OWNER_SHARE: Final = 0.25  # of the records
LARGEST_OWNER_RECORDS: Final = 8_000  # before all others
# Jobs of the largest owner of which it is reported that they began earlier, so that they move in the list.
MOVED_SHARE: Final = 0.01  # of the records
LONGEST_MOVE_SECONDS: Final = 90.0
MIX: Final = Mix(
    owners=OWNERS,
    rate=EVENTS_PER_SECOND,
    pace_seconds=3.0,
    late=0.05,
    duplicates=0.05,
    out_of_order=0.2,
    garbage=0.01,
    start=datetime(2026, 1, 1, tzinfo=UTC),
)


LARGEST_OWNER_MIX: Final = replace(MIX, owners=1, rate=EVENTS_PER_SECOND * LARGEST_OWNER_SHARE, garbage=0.0)


BEGINNING: Final = STAGES[0]


class SentJob(NamedTuple):
    """A job of which something was sent."""

    owner: str
    agreement_id: str
    job_id: str


class Traffic:
    """Sends records to one topic until it is stopped; a record that could not be sent was simply never reported."""

    def __init__(self, bootstrap_servers: str, topic: str, seed: int) -> None:
        self.recent: deque[SentJob] = deque(maxlen=RECENT_JOBS)
        self.older: list[SentJob] = []
        self.acknowledged = Acknowledged()
        self.largest_owner = ""
        self.failed = 0
        self._topic = topic
        self._random = Random(seed)
        self._records: Iterator[SimulatedRecord] = events(seed=seed, jobs=0, mix=MIX)
        self._records_of_largest: Iterator[SimulatedRecord] = events(
            seed=seed + SEED_OF_LARGEST, jobs=0, mix=LARGEST_OWNER_MIX
        )
        self._began: list[SimulatedRecord] = []
        self._known: set[bytes] = set()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap_servers,
            acks="all",
            compression_type="lz4",
            linger_ms=10,
            max_batch_size=128 * 1024,
            request_timeout_ms=5_000,
            retry_backoff_ms=100,
        )

    async def __aenter__(self) -> Self:
        """Connect."""
        await within(CONNECT_SECONDS, "workers to connect", self._producer.start())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await stopped("the workers", self._producer.stop())

    async def begin(self) -> None:
        """Report the jobs of the largest owner that are there before all others."""
        for _ in range(LARGEST_OWNER_RECORDS):
            await self._send(self._next_of_largest())
        await self.flush()

    async def run(self) -> None:
        """Send until cancelled: steadily, with bursts, and faster after the broker was away."""
        due = sent = 0.0
        last = time.monotonic()
        is_burst = False
        while True:
            await asyncio.sleep(TURN_SECONDS)
            now = time.monotonic()
            if int(now) != int(last):
                is_burst = self._random.random() < BURST_SHARE
            due += (now - last) * (BURST_EVENTS_PER_SECOND if is_burst else EVENTS_PER_SECOND)
            due = min(due, sent + MOST_BEHIND_SECONDS * EVENTS_PER_SECOND)
            last = now
            while sent < due:
                await self._send(self._next())
                sent += 1

    def _next(self) -> SimulatedRecord:
        if self._began and self._random.random() < MOVED_SHARE:
            return _earlier(self._random.choice(self._began), self._random.uniform(0, LONGEST_MOVE_SECONDS))
        if self._random.random() < LARGEST_OWNER_SHARE:
            return self._next_of_largest()
        return next(self._records)

    def _next_of_largest(self) -> SimulatedRecord:
        record = next(self._records_of_largest)
        event = orjson.loads(record.value or b"null")
        self.largest_owner = event["data"]["owner"]
        if event["type"] == BEGINNING.event_type:
            self._began.append(record)
        return record

    async def flush(self) -> None:
        """Return when everything that was sent is in the log, or never will be."""
        await within(FLUSH_SECONDS, "all that was sent to be in the log", self._producer.flush())

    async def _send(self, record: SimulatedRecord) -> None:
        try:
            future: asyncio.Future[Any] = await self._producer.send(
                self._topic, value=record.value, key=record.key, headers=list(record.headers)
            )
        except KafkaError:
            self.failed += 1
            return
        future.add_done_callback(self._note)
        self._remember(record)

    def _note(self, sent: "asyncio.Future[Any]") -> None:
        if sent.cancelled() or sent.exception():
            self.failed += 1
            return
        metadata = sent.result()
        self.acknowledged.note(metadata.partition, metadata.offset, time.time())

    def _remember(self, record: SimulatedRecord) -> None:
        if record.garbage or record.value is None or record.key in self._known:
            return
        self._known.add(record.key)
        data = orjson.loads(record.value)["data"]
        job = SentJob(data["owner"], data["agreementId"], data["jobId"])
        self.recent.append(job)
        self.older.append(job)


def _earlier(record: SimulatedRecord, seconds: float) -> SimulatedRecord:
    """Return the report of a stage once more, as if it had happened so much earlier."""
    event = orjson.loads(record.value or b"null")
    time_ = datetime.fromisoformat(event["time"]) - timedelta(seconds=seconds)
    event |= {"id": f"{event['id']}-earlier", "time": time_.astimezone(UTC).isoformat(timespec="microseconds")}
    event["time"] = event["time"].replace("+00:00", "Z")
    return record._replace(value=orjson.dumps(event))
