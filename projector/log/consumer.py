"""The log: Kafka as the projector sees it. Positions are ours alone; Kafka assigns partitions and delivers records."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    KafkaTimeoutError,
    RecordTooLargeError,
    UnknownTopicOrPartitionError,
    UnsupportedCodecError,
)

from projector.fold.batch import MAX_POLL_RECORDS
from projector.log.codecs import Expansion, require_codecs
from projector.log.reader import LARGEST_SHARE_BYTES, POLL_BYTES, Polled, Reader
from schemas.redis_layout import UNKNOWN_END, partition_name
from service.errors import ServiceUnavailableError
from service.kafka import REQUEST_TIMEOUT_MILLISECONDS, start_client
from service.settings import KafkaSettings

POLL_MILLISECONDS: Final = 250
METADATA_MAX_AGE_MILLISECONDS: Final = 10_000  # how soon partitions that were added are found
METADATA_POLL_SECONDS: Final = 0.02
LEADER_TIMEOUT_SECONDS: Final = 3.0  # what one broker may take to say how far its partitions go
_FETCH_BYTES: Final = 4 * 1024 * 1024
_NOBODY: Final = (None, -1)  # how aiokafka says that a partition has no leader
Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class LogRange:
    """What a partition still holds: the offset of its first record, and the end that readers may reach."""

    start: int
    end: int


class LogEnd(NamedTuple):
    """How far a partition goes: up to where readers may read, and to its very end, behind transactions yet open.

    Kafka calls these the last stable offset and the high watermark.
    """

    readable: int
    watermark: int


class Log(ConsumerRebalanceListener):  # type: ignore[misc]
    """The partitions of the topic that this member of the group reads."""

    def __init__(self, topic: str, group_id: str | None, client_options: Mapping[str, Any]) -> None:
        self._topic = topic
        self._expansion = Expansion()
        self._consumer = AIOKafkaConsumer(
            **client_options,
            group_id=group_id,
            # A place to begin comes from Redis alone: any other reset would silently read from elsewhere.
            auto_offset_reset="none",
            enable_auto_commit=False,
            isolation_level="read_committed",
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=LARGEST_SHARE_BYTES,
            metadata_max_age_ms=METADATA_MAX_AGE_MILLISECONDS,
            request_timeout_ms=REQUEST_TIMEOUT_MILLISECONDS,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=1_000,
        )
        self._reader = Reader(self._consumer, self._expansion)
        self._unplaced: set[TopicPartition] = set()
        self._poll_records, self._poll_bytes = MAX_POLL_RECORDS, POLL_BYTES

    async def start(self) -> None:
        """Connect to Kafka (the topic must exist); join the group with `join`.

        Raises ServiceUnavailableError when batches of some codec could not be read.
        """
        self._expansion.install()
        require_codecs(self._expansion)
        self._reader.install()
        await self._consumer.start()

    async def join(self) -> None:
        """Join the consumer group; return when the topic's partitions are known."""
        self._consumer.subscribe([self._topic], listener=self)
        async with asyncio.timeout(REQUEST_TIMEOUT_MILLISECONDS / 1000):
            while not self._consumer.partitions_for_topic(self._topic):  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(METADATA_POLL_SECONDS)

    async def stop(self) -> None:
        """Leave the group and close the connections."""
        self._expansion.remove()
        await self._consumer.stop()

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Remember what was taken away, even when the same partition is assigned again at once."""
        self._unplaced.update(revoked)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Remember what is not where we left it, though it may have been ours all the time.

        The consumer now stands at the offset that the group committed, which is beyond what Redis holds when that has
        lost writes. It is told before the consumer has learned that offset, so before any record comes from there.
        """
        self._unplaced.update(assigned)

    @property
    def unplaced(self) -> frozenset[TopicPartition]:
        """What was revoked or assigned and must be sought before it may be read."""
        return frozenset(self._unplaced)

    def take_unplaced(self) -> set[TopicPartition]:
        """Return what must be sought, which the caller now does."""
        unplaced, self._unplaced = self._unplaced, set()
        return unplaced

    @property
    def assignment(self) -> set[TopicPartition]:
        """The partitions assigned now."""
        return set(self._consumer.assignment())

    @property
    def is_drained(self) -> bool:
        """Whether the last poll took all that had been fetched."""
        return self._reader.is_drained

    async def poll(self) -> Polled:
        """Return what has arrived, of each partition an equal share; nothing when nothing arrives in time.

        Raises KafkaError; ServiceUnavailableError when this consumer cannot recover.
        """
        try:
            return await self._reader.poll(POLL_MILLISECONDS / 1000, self._poll_records, most_bytes=self._poll_bytes)
        except KafkaError as error:
            if type(error) is KafkaError:  # how aiokafka tells that its own task for the group has ended, for good
                raise ServiceUnavailableError(
                    f"the membership in the consumer group ended ({error}): start a new process"
                ) from error
            raise

    def leader(self, partition: TopicPartition) -> int | None:
        """Return the broker that leads a partition, as far as is known; None when none does.

        It is known before anything is fetched from a new one.
        """
        cluster = self._consumer._client.cluster  # noqa: SLF001 - there is no public way to a leader
        leader: int | None = cluster.leader_for_partition(partition)
        return None if leader in _NOBODY else leader

    async def ranges(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, LogRange]:
        """Return what each partition holds whose leader says so in time."""
        return await self._from_leaders(partitions, lambda led: _ranges(self._consumer, led))

    async def ends_known(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, LogEnd]:
        """Return the ends of each partition whose leader says so in time."""
        return await self._from_leaders(partitions, self._ends)

    async def ends(self) -> dict[str, int]:
        """Return the end of every partition of the topic, by its name: the last stable offset.

        It is UNKNOWN_END for one whose leader does not answer; KafkaTimeoutError when none does.
        """
        numbers = self._consumer.partitions_for_topic(self._topic)
        if not numbers:  # the topic is gone: an empty answer would be taken for an empty log
            raise UnknownTopicOrPartitionError(self._topic)
        items = [TopicPartition(self._topic, number) for number in numbers]
        ends = await self._from_leaders(items, self._consumer.end_offsets)
        if not ends:
            raise KafkaTimeoutError(f"no broker says where the partitions of {self._topic} end")
        return {partition_name(item.topic, item.partition): ends.get(item, UNKNOWN_END) for item in items}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read from this offset on."""
        self._consumer.seek(partition, offset)

    def park(self, partition: TopicPartition) -> None:
        """Leave a partition alone that cannot be placed: without an offset of ours every poll would fail."""
        self._consumer.seek(partition, 0)
        self._consumer.pause(partition)

    def pause(self, partition: TopicPartition) -> None:
        """Stop fetching from a partition."""
        self._consumer.pause(partition)

    def resume(self, partition: TopicPartition) -> None:
        """Fetch from a partition again."""
        self._consumer.resume(partition)

    async def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Tell Kafka the positions, for tools that show lag; nobody starts from them."""
        held = {partition: offset for partition, offset in positions.items() if partition in self.assignment}
        if held:
            await self._consumer.commit(held)

    async def _ends(self, led: list[TopicPartition]) -> dict[TopicPartition, LogEnd]:
        # A consumer asks for ends by its own isolation alone; so its fetcher, which holds no state for this, is asked
        # for the other ones as a second one.
        uncommitted = copy(self._consumer._fetcher)  # noqa: SLF001 - there is no public way to a high watermark
        uncommitted._isolation_level = READ_UNCOMMITTED  # noqa: SLF001
        readable, watermarks = await asyncio.gather(
            self._consumer.end_offsets(led), uncommitted.end_offsets(led, REQUEST_TIMEOUT_MILLISECONDS)
        )
        # Asked at the same time, and answered in any order.
        return {item: LogEnd(readable[item], max(readable[item], watermarks[item])) for item in led}

    async def _from_leaders(
        self,
        partitions: Collection[TopicPartition],
        ask: Callable[[list[TopicPartition]], Awaitable[dict[TopicPartition, Told]]],
    ) -> dict[TopicPartition, Told]:
        """Ask each leader for its partitions, so that one that is away leaves the others' answers alone."""
        led = defaultdict(list)
        for partition in partitions:
            led[self.leader(partition)].append(partition)
        led.pop(None, None)
        answers = await asyncio.gather(*(_in_time(ask(items)) for items in led.values()))
        return {partition: told for answer in answers for partition, told in answer.items()}


def is_unreadable(error: Exception) -> bool:
    """Tell whether an error is about what the log holds (a broken batch, an unknown codec), so that it will stay."""
    if isinstance(error, KafkaError):
        return isinstance(error, CorruptRecordException | UnsupportedCodecError | RecordTooLargeError)
    # Whatever else a parser or a codec raises.
    return not isinstance(error, TimeoutError | OSError | ServiceUnavailableError)


async def _in_time(asked: Awaitable[dict[TopicPartition, Told]]) -> dict[TopicPartition, Told]:
    """Return the answer, nothing when it does not come; raises KafkaError when it is a refusal."""
    try:
        async with asyncio.timeout(LEADER_TIMEOUT_SECONDS):
            return await asked
    except (TimeoutError, KafkaTimeoutError):
        return {}
    except KafkaError as error:
        if error.retriable:
            return {}
        raise


async def partition_ranges(
    settings: KafkaSettings, isolation: Literal["read_committed", "read_uncommitted"] = "read_committed"
) -> dict[str, LogRange]:
    """Return what every partition of the topic holds, by its name, without joining the group.

    The end is that of what is committed: records behind the first open transaction are beyond it, unless
    `read_uncommitted` asks for them too.
    """
    consumer = AIOKafkaConsumer(settings.kafka_topic, **settings.kafka_client_options(), isolation_level=isolation)
    await start_client(consumer, settings)
    try:
        ranges = await _ranges(consumer, consumer.assignment())
    finally:
        await consumer.stop()
    return {partition_name(item.topic, item.partition): held for item, held in ranges.items()}


async def _ranges(consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> dict[TopicPartition, LogRange]:
    starts, ends = await asyncio.gather(
        consumer.beginning_offsets(list(partitions)), consumer.end_offsets(list(partitions))
    )
    return {partition: LogRange(starts[partition], ends[partition]) for partition in partitions}
