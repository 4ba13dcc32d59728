"""The doctor: one line for each thing that must be right, with what to do where it is not."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from projector.errors import ProjectorError
from projector.letters.reader import count_letters
from projector.log.consumer import LogRange, partition_ranges
from projector.log.topics import LETTERS_CONFIG, LOG_CONFIG, check_not_hidden, topic_setting
from projector.settings import ProjectorSettings
from projector.store.catalog import State
from projector.store.generation import Generation
from projector.store.ledger import Ledger
from projector.store.memory import Memory, require_redis, why_incomplete
from schemas.event_time import iso_seconds, sortable_timestamp
from schemas.redis_layout import (
    DAMAGED_KEY,
    EVENTS_GONE,
    FOLD_VERSION,
    LETTERS_AWAY,
    LOG_REPLACED,
    NO_LEADER,
    TRANSACTION,
    UNREADABLE,
    Heartbeat,
    Pointer,
    pointer_key,
)
from service.diagnosis.redis import lasting_fault
from service.errors import ServiceUnavailableError
from service.kafka import admin_client, told_by
from service.redis import REDIS_FAULTS, AnyRedis, address, connect, read_hash

READ_TIMEOUT_SECONDS: Final = 5.0
SILENT_MILLISECONDS: Final = 5000
AHEAD_MILLISECONDS: Final = 1000
FIXES: Final = {
    LOG_REPLACED: "the topic was re-created or cut: export what is stored; when the log that is there counts, "
    "mend by it: python -m projector verify --repair --trust-log",
    EVENTS_GONE: "go on without them: python -m projector skip --to-log-start",
    NO_LEADER: "start the brokers that hold it",
    UNREADABLE: "pass it: python -m projector skip --partition N --to OFFSET, see the projector's /readyz",
    LETTERS_AWAY: "mend the dead-letter topic, see the projector's /readyz",
    DAMAGED_KEY: "mend it: python -m projector verify --repair",
    TRANSACTION: "end the producer's transaction, or wait until Kafka aborts it",
}
FIXES_LAG: Final = "wait, or look at the projector's /readyz?verbose"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: all is well when there is no fix; advice is for what is worth a look all the same."""

    check: str
    text: str
    fix: str | None = None
    advice: str | None = None

    def __str__(self) -> str:
        """Return the line for people."""
        mark = "-" if self.fix else "!" if self.advice else "+"
        return f"[{mark}] {self.check}: " + "; ".join(filter(None, (self.text, self.fix, self.advice)))


async def examine(settings: ProjectorSettings) -> list[Finding]:
    """Return what is found of Kafka, topics, Redis, the projection, how far it is, and dead letters, in that order."""
    kafka = await _kafka(settings)
    redis = connect(settings)
    try:
        stored = await _redis(redis, settings)
        findings = kafka + stored
        if not any(finding.fix and finding.check in {"kafka", "topic", "redis"} for finding in findings):
            findings += await _projection(redis, settings)
            findings.append(await _letters(settings))
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
                    findings += await _topic(admin, topic, config)
                else:
                    findings.append(await _absent(admin, settings, topic))
    except ServiceUnavailableError as error:
        return [Finding("kafka", "cannot be used", str(error))]
    return findings


async def _absent(admin: AIOKafkaAdminClient, settings: ProjectorSettings, topic: str) -> Finding:
    """Return the finding about a topic that is in no list: it is missing, or this user may not see it."""
    try:
        await check_not_hidden(admin, [topic])
    except TopicAuthorizationFailedError as error:
        if fault := told_by(settings, error):
            return Finding("topic", f"{topic} is not shown: {fault.cause}", fault.remedy)
    return Finding("topic", f"{topic} does not exist", "create it: python -m projector topics create")


async def _topic(admin: AIOKafkaAdminClient, topic: str, config: dict[str, str]) -> list[Finding]:
    found = {name: await topic_setting(admin, topic, name) for name in config}
    unseen = ", ".join(name for name, value in found.items() if value is None)
    findings = [
        Finding("topic setting", f"{topic} has {name}={value}", f"set {name}={config[name]} on the topic")
        for name, value in found.items()
        if value not in (config[name], None)
    ]
    if unseen:
        advice = "let it describe the topic's configuration"
        findings.append(Finding("topic setting", f"{unseen} of {topic} may not be seen by this user", advice=advice))
    return findings or [Finding("topic", f"{topic} keeps every record")]


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
        generation = Generation(redis, settings.redis_prefix, pointer)
        accounts = await generation.ledgers()
        clocks = [int(clock) for clock in await generation.heartbeats.clocks()]
        beats = [await generation.heartbeats.read(bucket) for bucket in generation.buckets.numbers]
    except (*REDIS_FAULTS, KeyError, ValueError, ProjectorError) as error:
        if fault := lasting_fault(error):
            return [Finding("projection", f"cannot be read: {fault.cause}", fault.remedy)]
        fix = "start a projector: it mends what is damaged, or says what to do"
        return [Finding("projection", f"cannot be read: {error}", fix)]
    if pointer.fold_version != FOLD_VERSION:
        text = f"generation {pointer.number} was folded by version {pointer.fold_version}, this is {FOLD_VERSION}"
        return [Finding("projection", text, "run this version's rebuild: python -m projector rebuild")]
    findings = [Finding("projection", f"generation {pointer.number}")]
    findings += [item for name, account in accounts.items() for item in _account(name, account)]
    findings += _skipped(state)
    try:
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            # First: what arrives meanwhile is behind nothing.
            whole = await partition_ranges(settings, "read_uncommitted")
            readable = await partition_ranges(settings)
    except (KafkaError, TimeoutError):
        text = f"Kafka does not say how far all of {settings.kafka_topic} goes"
        return [*findings, *_confirmed(clocks, beats, sorted(accounts)), Finding("lag", text, FIXES[NO_LEADER])]
    return (
        findings
        + _confirmed(clocks, beats, sorted(whole))
        + _lags(whole, readable, {name: account.next for name, account in accounts.items()})
    )


def _account(name: str, account: Ledger) -> list[Finding]:
    fix = None if account.is_closed else "events were skipped: find and mend them: python -m projector verify --repair"
    return [Finding("ledger", f"{name}: {account}", fix)]


def _skipped(state: State) -> list[Finding]:
    return [
        Finding("skipped", f"{name}: offsets {start} to {to - 1}, see their dead letter")
        for name, ranges in sorted(state.skipped.items())
        for start, to in sorted(ranges.items())
    ]


def _confirmed(clocks: Sequence[int], beats: Sequence[Mapping[str, Heartbeat]], names: Sequence[str]) -> list[Finding]:
    """Return whether somebody confirms every partition, in every bucket, and what is held."""
    fix = "start a projector, or look at its log and its /readyz?verbose"
    never = sorted({name for beat in beats for name in names if name not in beat})
    times = [
        (name, beat[name].milliseconds, clock - beat[name].milliseconds)
        for clock, beat in zip(clocks, beats, strict=True)
        for name in names
        if name in beat
    ]
    silent = sorted({name for name, _, age in times if not -AHEAD_MILLISECONDS <= age <= SILENT_MILLISECONDS})
    findings = []
    if never:
        findings.append(Finding("heartbeat", f"nobody has ever confirmed {', '.join(never)}", fix))
    if silent:
        since = iso_seconds(sortable_timestamp(min(at for name, at, _ in times if name in silent)))
        findings.append(Finding("heartbeat", f"nobody has confirmed {', '.join(silent)} since {since}", fix))
    codes = {name: beat[name].code for beat in beats for name in names if name in beat and name not in silent}
    findings += [Finding("held", f"{name}: {code}", FIXES.get(code, fix)) for name, code in codes.items() if code]
    return findings or [Finding("heartbeat", "a projector confirms every partition")]


def _lags(
    whole: Mapping[str, LogRange], readable: Mapping[str, LogRange], positions: Mapping[str, int]
) -> list[Finding]:
    """Compare the stored positions with the log."""
    findings = []
    for name, log in sorted(whole.items()):
        position = positions.get(name, 0)
        lag = log.end - position
        if lag < 0:
            text = f"{name} ends at {log.end}, before position {position}"
            findings.append(Finding("log", text, FIXES[LOG_REPLACED]))
            continue
        if position < log.start:
            text = f"{name}: events {position} to {log.start - 1} are gone"
            findings.append(Finding("log", text, FIXES[EVENTS_GONE]))
        findings.append(Finding("lag", f"{name}: {lag} events", FIXES_LAG if lag else None))
        if name in readable and (blocked := log.end - readable[name].end) > 0:
            text = f"{name}: {blocked} records wait behind a transaction that is open"
            findings.append(Finding("transaction", text, FIXES[TRANSACTION]))
    return findings


async def _letters(settings: ProjectorSettings) -> Finding:
    """Return how many dead letters the last day brought, which is for people to look at."""
    since = datetime.now(UTC) - timedelta(days=1)
    try:
        count = await count_letters(settings, since)
    except (KafkaError, ServiceUnavailableError) as error:
        return Finding("dead letters", f"cannot be counted: {error}", "start the brokers that hold their topic")
    if not count:
        return Finding("dead letters", "none in the last day")
    advice = f"look at them: python -m projector dead-letters list --since {since:%Y-%m-%dT%H:%M:%S}"
    return Finding("dead letters", f"{count} in the last day", advice=advice)
