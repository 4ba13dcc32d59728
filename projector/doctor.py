"""The doctor: one line for each thing that must be right, with what to do where it is not."""

import asyncio
from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient

from projector.log.consumer import partition_ranges
from projector.log.topics import LETTERS_CONFIG, LOG_CONFIG, topic_setting
from projector.settings import ProjectorSettings
from projector.store.catalog import State
from projector.store.ledger import Ledger, ledgers
from projector.store.memory import Memory, require_redis, why_incomplete
from schemas.redis_layout import FOLD_VERSION, POSITIONS, Pointer, bucket_prefix, pointer_key
from service.errors import ServiceUnavailableError
from service.kafka import admin_client
from service.redis import REDIS_FAULTS, AnyRedis, address, connect, read_hash

READ_TIMEOUT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: all is well when there is no fix."""

    check: str
    text: str
    fix: str | None = None

    def __str__(self) -> str:
        """Return the line for people."""
        return f"[{'-' if self.fix else '+'}] {self.check}: {self.text}" + (f"; {self.fix}" if self.fix else "")


async def examine(settings: ProjectorSettings) -> list[Finding]:
    """Return what is found of Kafka, the topics, Redis, the projection, its lag and its ledger, in that order."""
    kafka = await _kafka(settings)
    redis = connect(settings)
    try:
        stored = await _redis(redis, settings)
        findings = kafka + stored
        if not any(finding.fix and finding.check in {"kafka", "topic", "redis"} for finding in findings):
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                findings += await _projection(redis, settings)
    finally:
        await redis.aclose()
    return findings


async def _kafka(settings: ProjectorSettings) -> list[Finding]:
    try:
        async with admin_client(settings) as admin:
            findings = [Finding("kafka", f"{settings.kafka_bootstrap_servers} answers")]
            existing = set(await admin.list_topics())
            for topic, config in ((settings.kafka_topic, LOG_CONFIG), (settings.dead_letter_topic, LETTERS_CONFIG)):
                if topic in existing:
                    findings.append(await _topic(admin, topic, config))
                else:
                    findings.append(
                        Finding("topic", f"{topic} does not exist", "create it: python -m projector topics create")
                    )
    except ServiceUnavailableError as error:
        return [Finding("kafka", "does not answer", str(error))]
    return findings


async def _topic(admin: AIOKafkaAdminClient, topic: str, config: dict[str, str]) -> Finding:
    for name, wanted in config.items():
        value = await topic_setting(admin, topic, name)
        if value != wanted:
            return Finding("topic setting", f"{topic} has {name}={value}", f"set {name}={wanted} on the topic")
    return Finding("topic", f"{topic} keeps every record")


async def _redis(redis: AnyRedis, settings: ProjectorSettings) -> list[Finding]:
    try:
        memories = await require_redis(redis, settings)
    except ServiceUnavailableError as error:
        return [Finding("redis", "cannot be used", str(error))]
    answers = Finding("redis", f"{address(settings)} answers and never evicts")
    return [answers, *(_memory(memory, address(settings)) for memory in memories)]


def _memory(memory: Memory, place: str) -> Finding:
    node = f"{memory.node}: " if memory.node else ""
    room = f" of {memory.limit}" if memory.limit != "0B" else ", no limit set"
    return Finding("redis memory", f"{node}{memory.used} used{room}", why_incomplete(memory, place))


async def _projection(redis: AnyRedis, settings: ProjectorSettings) -> list[Finding]:
    try:
        fields = await read_hash(redis, pointer_key(settings.redis_prefix))
        if b"live" not in fields:
            return [Finding("projection", "none yet", "start a projector: python -m projector run")]
        state = State.from_fields(fields)
        pointer = Pointer.from_fields(fields)
        keys = [bucket_prefix(settings.redis_prefix, pointer.number, n) + POSITIONS for n in range(pointer.buckets)]
        accounts = ledgers([await read_hash(redis, key) for key in keys])
    except (*REDIS_FAULTS, KeyError, ValueError) as error:
        fix = "start a projector: it mends what is damaged, or says what to do"
        return [Finding("projection", f"cannot be read: {error}", fix)]
    if pointer.fold_version != FOLD_VERSION:
        text = f"generation {pointer.number} was folded by version {pointer.fold_version}, this is {FOLD_VERSION}"
        return [Finding("projection", text, "run this version's rebuild: python -m projector rebuild")]
    skipped = [
        Finding("skipped", f"{name}: offsets {start} to {to - 1}, see their dead letter")
        for name, ranges in sorted(state.skipped.items())
        for start, to in sorted(ranges.items())
    ]
    return [Finding("projection", f"generation {pointer.number}"), *await _partitions(settings, accounts), *skipped]


async def _partitions(settings: ProjectorSettings, accounts: dict[str, Ledger]) -> list[Finding]:
    """Compare the stored positions and ledgers with the log."""
    whole = await partition_ranges(settings, "read_uncommitted")  # first: what arrives meanwhile is behind nothing
    ranges = await partition_ranges(settings)
    findings = []
    for name, held in sorted(ranges.items()):
        account = accounts.get(name)
        lag = held.end - (account.next if account else 0)
        fix = "wait, or look at the projector's /readyz?verbose" if lag else None
        findings.append(Finding("lag", f"{name}: {lag} events", fix))
        if (blocked := whole[name].end - held.end) > 0:
            text = f"{name}: {blocked} records wait behind a transaction that is open"
            findings.append(
                Finding("transaction", text, "end the producer's transaction, or wait until Kafka aborts it")
            )
        if account:
            fix = (
                None
                if account.is_closed
                else "events were skipped: find and mend them: python -m projector verify --repair"
            )
            findings.append(Finding("ledger", f"{name}: {account}", fix))
    return findings
