"""`status-worker check`: whether this machine could report, and what to change when not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final, NamedTuple

import click

from operator_status.commands.help import SettingsCommand, kafka_options, loaded, seconds_option, spool_option
from operator_status.commands.job_options import given_job, job_options
from operator_status.delivery.spool import Spool
from operator_status.errors import InvalidEventError, KafkaUnusableError, TopicMissingError
from operator_status.event import ReportedJob, make_report
from operator_status.published import STAGES
from operator_status.settings import SPOOL_VARIABLE, KafkaSettings

MAX_CLOCK_SECONDS: Final = 5.0
TIMEOUT_SECONDS: Final = 15.0
FOUND_WRONG: Final = 1


class Verdict(StrEnum):
    """What a finding means; a note is only worth knowing."""

    OK = "ok   "
    WRONG = "wrong"
    NOTE = "note "


class Finding(NamedTuple):
    """What one check found."""

    name: str
    verdict: Verdict
    text: str

    def __str__(self) -> str:
        """Return the line."""
        return f"{self.verdict}  {self.name}: {self.text}"


@click.command(cls=SettingsCommand)
@kafka_options
@job_options
@spool_option("Where reports wait.")
@seconds_option("timeout", TIMEOUT_SECONDS, "Longest time that all of it may take.")
def check(kafka: dict[str, str | None], *, spool_directory: str | None, timeout_seconds: float, **given: Any) -> int:
    """Say whether this machine could report: address, TLS, SASL, topic, the right to write, and its clock.

    Prints a line for each check, and writes nothing to Kafka. Exit codes: 0 it could, 1 something is wrong, 2 bad
    settings.
    """
    settings = loaded(kafka)
    findings = [*_job(given_job(given)), *_spool(spool_directory, settings.kafka_topic)]
    findings += asyncio.run(_within(settings, timeout_seconds))
    for finding in findings:
        click.echo(str(finding))
    return FOUND_WRONG if any(finding.verdict is Verdict.WRONG for finding in findings) else 0


def _job(job: ReportedJob) -> Iterator[Finding]:
    try:
        make_report(job, STAGES[0], {})
    except InvalidEventError as error:
        yield Finding("job", Verdict.NOTE, f"none is named here: {'; '.join(error.faults)}")
    else:
        yield Finding("job", Verdict.OK, f"{job}, agreement {job.agreement_id}, attempt {job.attempt}, by {job.source}")


def _spool(directory: str | None, topic: str) -> Iterator[Finding]:
    if not directory:
        yield Finding(
            "spool", Verdict.NOTE, f"none: what Kafka does not take is lost when a job ends; set {SPOOL_VARIABLE}"
        )
        return
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=directory) as file:
            file.write(b"x")
    except OSError as error:
        yield Finding("spool", Verdict.WRONG, f"{directory} cannot be written: {error.strerror}")
        return
    waiting = sum(1 for _ in Spool(directory, topic).left())
    yield Finding("spool", Verdict.OK, f"{directory}, {waiting} reports wait")


async def _within(settings: KafkaSettings, limit_seconds: float) -> list[Finding]:
    findings: list[Finding] = []
    try:
        async with asyncio.timeout(limit_seconds):
            async for finding in _kafka(settings):
                findings.append(finding)  # noqa: PERF401 - those before the limit count
    except TimeoutError:
        findings.append(Finding("kafka", Verdict.WRONG, f"no answer within {limit_seconds:g} s"))
    return findings


async def _kafka(settings: KafkaSettings) -> AsyncIterator[Finding]:
    from operator_status.delivery.kafka_client import connected_producer  # noqa: PLC0415 - help needs no Kafka

    try:
        async with connected_producer(settings) as producer:
            for finding in _way(settings):
                yield finding
            async for finding in _topic(settings, producer):
                yield finding
            yield await _clock(producer)
    except TopicMissingError as error:
        for finding in _way(settings):
            yield finding
        yield Finding("topic", Verdict.WRONG, str(error))
    except KafkaUnusableError as error:
        yield Finding("kafka", Verdict.WRONG, str(error))


def _way(settings: KafkaSettings) -> Iterator[Finding]:
    protocol = settings.kafka_security_protocol
    yield Finding("address", Verdict.OK, f"{settings.kafka_bootstrap_servers}, and what it tells of the other brokers")
    yield Finding("TLS", *((Verdict.OK, "spoken") if protocol.endswith("SSL") else (Verdict.NOTE, "none")))
    if protocol.startswith("SASL"):
        user = settings.kafka_sasl_plain_username or "a token"
        yield Finding("SASL", Verdict.OK, f"{settings.kafka_sasl_mechanism}, {user}")
    else:
        yield Finding("SASL", Verdict.NOTE, "none: Kafka does not know who writes")


async def _topic(settings: KafkaSettings, producer: Any) -> AsyncIterator[Finding]:
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - help needs no Kafka

    from operator_status.commands.probing import may_write  # noqa: PLC0415

    topic = settings.kafka_topic
    await producer.client.add_topic(topic)
    partitions = sorted(producer.client.cluster.partitions_for_topic(topic) or ())
    led = sorted(producer.client.cluster.available_partitions_for_topic(topic) or ())
    without = [number for number in partitions if number not in led]
    problem = f"; nobody leads {without}" if without else ""
    yield Finding("topic", Verdict.WRONG if without else Verdict.OK, f"{topic}, {len(partitions)} partitions{problem}")
    try:
        is_allowed = bool(led) and await may_write(producer, topic, led[0])
    except (KafkaError, OSError) as error:
        yield Finding("right to write", Verdict.NOTE, f"could not be found out: {error}")
        return
    if is_allowed:
        yield Finding("right to write", Verdict.OK, "granted")
    else:
        text = f"not granted: grant Write on the topic {topic}, as docs/operations.md lists it"
        yield Finding("right to write", Verdict.WRONG, text)


async def _clock(producer: Any) -> Finding:
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - help needs no Kafka

    from operator_status.commands.probing import seconds_ahead  # noqa: PLC0415

    try:
        ahead = await seconds_ahead(producer)
    except (KafkaError, OSError, NotImplementedError, ValueError) as error:
        text = f"not compared: Kafka tells its own to who may Describe the cluster ({type(error).__name__})"
        return Finding("clock", Verdict.NOTE, text)
    how = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} Kafka's"
    if abs(ahead) > MAX_CLOCK_SECONDS:
        return Finding("clock", Verdict.WRONG, f"{how}: set it right, for stages are dated by it")
    return Finding("clock", Verdict.OK, how)
