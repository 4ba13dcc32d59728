"""Reading dead letters, and sending again those that are good by now.

A letter may be in its topic several times; topic, partition and offset of its record identify it, and every reader here
counts it once.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from projector.fold.record import Record
from projector.letters.headers import HEADER_PREFIX
from projector.letters.writer import new_producer, write_letter
from projector.log.topics import require_topics
from projector.operating.progress import Show, silent
from projector.settings import ProjectorSettings
from schemas.decode import RefusedEventError, decode
from service.errors import CommandError
from service.kafka import start_client

SHOWN_CHARACTERS = 100
_POLL_MILLISECONDS = 500


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it was read: the record's key, value and own headers, and what was noted about it."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    about: dict[str, str]
    written_at: datetime
    timestamp: int

    @property
    def place(self) -> str:
        """Where the record is in the log, and so the letter's identity: `<topic>/<partition>/<offset>`."""
        return f"{self.about.get('topic')}/{self.about.get('partition')}/{self.about.get('offset')}"

    @property
    def reason(self) -> str:
        """The stable code of what was wrong."""
        return self.about.get("exception.class.name", "")

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for JSON: texts, and what is no text in Base64 under a name of its own."""
        return {
            "place": self.place,
            "reason": self.reason,
            "written_at": f"{self.written_at:%Y-%m-%dT%H:%M:%SZ}",
            "about": self.about,
            **_as_json("key", self.key),
            **_as_json("value", self.value),
            "headers": [{"name": name, **_as_json("value", content)} for name, content in self.headers],
        }

    def __str__(self) -> str:
        """Return one line; what came from outside is quoted and cut."""
        key = repr(self.key)[:SHOWN_CHARACTERS]
        message = repr(self.about.get("exception.message", ""))[:SHOWN_CHARACTERS]
        return f"{self.written_at:%Y-%m-%dT%H:%M:%SZ} {self.place} {self.reason} key={key} {message}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters are wanted; every condition that is given must hold."""

    reason: str | None = None
    since: datetime | None = None
    job: str | None = None
    where: str | None = None

    def wants(self, letter: Letter) -> bool:
        """Tell whether the letter meets every condition."""
        return (
            (self.reason is None or letter.reason == self.reason)
            and (self.since is None or letter.written_at >= self.since)
            and (self.job is None or self.job.encode() in (letter.key or b"") + b"\n" + (letter.value or b""))
            and (self.where is None or f"{letter.place}/".startswith(f"{self.where}/"))
        )


@dataclass(slots=True)
class Redriven:
    """What became of the letters that were looked at."""

    good: int = 0
    still_bad: int = 0
    places: list[str] = field(default_factory=list)


async def read_letters(settings: ProjectorSettings, wanted: Filter, show: Show = silent) -> AsyncIterator[Letter]:
    """Yield every wanted letter that is in the topic now, once each, oldest first in each partition.

    Shown is how much of the topic was read.
    """
    await require_topics(settings)
    consumer = AIOKafkaConsumer(
        settings.dead_letter_topic,
        **settings.kafka_client_options(),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await start_client(consumer, settings)
    seen: set[str] = set()
    try:
        starts, ends = await _ends(consumer)
        totals = {_name(item): end - starts[item] for item, end in ends.items()}
        while True:
            places = {item: await consumer.position(item) for item in ends}
            show({_name(item): place - starts[item] for item, place in places.items()}, totals)
            if all(places[item] >= end for item, end in ends.items()):
                break
            polled = await consumer.getmany(timeout_ms=_POLL_MILLISECONDS)
            for record in (record for records in polled.values() for record in records):
                letter = _letter(record)
                if letter.place not in seen and wanted.wants(letter):
                    seen.add(letter.place)
                    yield letter
    finally:
        await consumer.stop()


async def count_letters(settings: ProjectorSettings, since: datetime) -> int:
    """Return how many letters were written since then, one that was written twice twice."""
    consumer = AIOKafkaConsumer(settings.dead_letter_topic, **settings.kafka_client_options())
    await start_client(consumer, settings)
    try:
        _, ends = await _ends(consumer)
        milliseconds = int(since.timestamp() * 1000)
        firsts = await consumer.offsets_for_times(dict.fromkeys(ends, milliseconds)) if ends else {}
        return sum(ends[item] - first.offset for item, first in firsts.items() if first)
    finally:
        await consumer.stop()


async def redrive(
    settings: ProjectorSettings, wanted: Filter, outcome: Redriven, show: Show = silent, *, is_rehearsal: bool
) -> None:
    """Send the wanted letters that are understood by now to the log again; a rehearsal only counts them.

    The outcome is right at each moment, also when this is cancelled. To send one twice is harmless: the same event
    changes nothing.
    """
    producer = new_producer(settings)
    await start_client(producer, settings)
    try:
        async for letter in read_letters(settings, wanted, show):
            try:
                decode(letter.value, letter.headers, letter.timestamp)
            except RefusedEventError:
                outcome.still_bad += 1
                continue
            if not is_rehearsal:
                await write_letter(producer, settings.kafka_topic, letter.key, letter.value, list(letter.headers))
            outcome.good += 1
            outcome.places.append(letter.place)
    finally:
        await producer.stop()


async def find_letter(settings: ProjectorSettings, place: str) -> Letter:
    """Return the letter of the record at `<topic>/<partition>/<offset>`; CommandError when there is none."""
    async for letter in read_letters(settings, Filter(where=place)):
        return letter
    raise CommandError(f"there is no dead letter of {place} in {settings.dead_letter_topic}")


def _letter(record: Record) -> Letter:
    headers = record.headers
    about = {
        name.removeprefix(HEADER_PREFIX): (content or b"").decode(errors="replace")
        for name, content in headers
        if name.startswith(HEADER_PREFIX)
    }
    own = [(name, content) for name, content in headers if not name.startswith(HEADER_PREFIX)]
    return Letter(record.key, record.value, own, about, _moment(record.timestamp), record.timestamp)


def _as_json(name: str, content: bytes | None) -> dict[str, str | None]:
    """Return what a member of this name says of the bytes."""
    try:
        return {name: None if content is None else content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(content or b"").decode()}


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(max(0, milliseconds) / 1000, UTC)


def _name(item: TopicPartition) -> str:
    return f"{item.topic}/{item.partition}"


async def _ends(consumer: AIOKafkaConsumer) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Return start and end of every partition that holds something."""
    partitions = list(consumer.assignment())
    starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return starts, {item: ends[item] for item in partitions if ends[item] > starts[item]}
