"""What is written to do harm: records into the log, and values into Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from schemas.redis_layout import HEARTBEATS, POSITIONS
from service.redis import read_hash
from tests.torture.faults.schedule import Fault, Kind
from tests.torture.system.limits import TooLongError, stopped, within
from tests.torture.system.servers import client
from tests.torture.system.system import System
from worker.simulation import Mix, events

STEP_SECONDS: Final = 20.0
LETTERS: Final = (2_000, 6_000)
FLOOD_RECORDS: Final = 300
# An array of empty arrays: 240 KB that are some hundred bytes in the log.
FLOOD_VALUE: Final = b"[" + b"[]," * 79_999 + b"[]]"
FLOOD_BATCH_BYTES: Final = 1_000_000
# Beyond the longest that a transaction is held open.
TRANSACTION_SECONDS: Final = 25.0
TRANSACTION_JOBS: Final = 30
ABORTED_SHARE: Final = 0.4
JOBS_OF_TRANSACTIONS: Final = 2 * 10**12  # beyond the seeds of all other jobs
DAMAGED_POSITION: Final = b"007"
JUMP_MILLISECONDS: Final = (-3_600_000, 3_600_000)


async def send_letters(system: System, fault: Fault) -> None:
    """Send thousands of records that nobody understands to one partition at once."""
    random = Random(fault.seed)
    count, partition = random.randint(*LETTERS), random.randrange(system.partitions)
    await _send(system, fault, partition, [b"{%d" % number for number in range(count)], compression_type="lz4")


async def send_flood(system: System, fault: Fault) -> None:
    """Send hundreds of large records, which are small in the log, to one partition."""
    partition = Random(fault.seed).randrange(system.partitions)
    await _send(system, fault, partition, [FLOOD_VALUE] * FLOOD_RECORDS, compression_type="zstd")


async def hold_transaction(system: System, fault: Fault) -> None:
    """Report jobs in a transaction, hold it open, then commit or abort it."""
    async with _producer(
        system,
        transactional_id=f"{system.topic}-{fault.seed}",
        transaction_timeout_ms=int(TRANSACTION_SECONDS * 1000),
    ) as producer:
        await within(STEP_SECONDS, "a transaction to begin", producer.begin_transaction())
        for record in events(seed=JOBS_OF_TRANSACTIONS + fault.seed, jobs=TRANSACTION_JOBS, mix=Mix()):
            await producer.send(system.topic, value=record.value, key=record.key)
        await within(STEP_SECONDS, "a transaction to be in the log", producer.flush())
        await asyncio.sleep(fault.seconds)
        is_aborted = Random(fault.seed).random() < ABORTED_SHARE
        ending = producer.abort_transaction() if is_aborted else producer.commit_transaction()
        await within(STEP_SECONDS, "a transaction to end", ending)


async def damage_position(system: System, fault: Fault) -> None:
    """Write a position that is none where a bucket keeps one."""
    async with client(system.redis.primary) as redis:
        keys = [key async for key in redis.scan_iter(match=f"{system.topic}:*:{POSITIONS}")]
        field = f"{system.topic}/{Random(fault.seed).randrange(system.partitions)}"
        for key in keys[:1]:
            if await redis.hexists(key, field):
                await redis.hset(key, field, DAMAGED_POSITION)


async def jump(system: System, fault: Fault) -> None:
    """Leave behind what is there after Redis' clock was an hour off: heartbeats of another time."""
    milliseconds = Random(fault.seed).choice(JUMP_MILLISECONDS)
    async with client(system.redis.primary) as redis:
        async for key in redis.scan_iter(match=f"{system.topic}:*:{HEARTBEATS}"):
            for field, value in (await read_hash(redis, key.decode())).items():
                at, rest = value.split(b" ", 1)
                await redis.hset(key, field, b"%d %s" % (int(at) + milliseconds, rest))


async def _send(system: System, fault: Fault, partition: int, values: Sequence[bytes], **settings: Any) -> None:
    async with _producer(system, max_batch_size=FLOOD_BATCH_BYTES, linger_ms=5, **settings) as producer:
        for number, value in enumerate(values):
            key = b"garbage-%d-%d" % (fault.seed, number)
            await producer.send(system.topic, value=value, key=key, partition=partition)
        await within(STEP_SECONDS, "garbage to be in the log", producer.flush())


@asynccontextmanager
async def _producer(system: System, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
    """Yield a producer."""
    producer = AIOKafkaProducer(bootstrap_servers=system.bootstrap_servers, request_timeout_ms=5_000, **settings)
    try:
        await within(STEP_SECONDS, "a producer to connect", producer.start())
        yield producer
    finally:
        await stopped("a producer", producer.stop())


MISCHIEF: Final[Mapping[Kind, Callable[[System, Fault], Awaitable[None]]]] = {
    Kind.LETTERS: send_letters,
    Kind.FLOOD: send_flood,
    Kind.TRANSACTION: hold_transaction,
    Kind.DAMAGE: damage_position,
    Kind.JUMP: jump,
}
# Others may harm Kafka or Redis at the same time.
HINDRANCES: Final = (KafkaError, RedisError, OSError, TooLongError)
