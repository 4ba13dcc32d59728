"""`python -m worker events`: the events themselves in a terminal, as they arrive in Kafka."""

import asyncio
from collections import Counter
from typing import Final, NamedTuple

import click
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError

from schemas.decode import Reason, RefusedEventError, decode
from schemas.event_time import iso_seconds
from schemas.identity import canonical_hex
from schemas.job_event import DEFAULT_ATTEMPT, JobEvent
from service.command_line import SettingsCommand, run_async, settings_options
from service.errors import ServiceUnavailableError
from service.kafka import quiet_connection_attempts, start_client, why_unusable
from service.logs import configure_logs
from service.settings import KafkaSettings
from service.signals import stop_on_signals
from worker.app import new_consumer, require_topic

POLL_MILLISECONDS: Final = 500


class Wanted(NamedTuple):
    """Which jobs to show; None: whichever."""

    owner: str | None
    agreement_id: str | None
    job_id: str | None

    def matches(self, event: JobEvent) -> bool:
        """Tell whether the event is of such a job."""
        return all(wanted in {None, given} for wanted, given in zip(self, event.identity[:3], strict=True))


class View:
    """Prints a line for each event of the jobs that are wanted, and counts the rest."""

    def __init__(self, wanted: Wanted) -> None:
        """Show these."""
        self._wanted = wanted
        self._shown = self._others = 0
        self._refused: Counter[Reason] = Counter()

    def see(self, record: ConsumerRecord) -> None:
        """Print or count one record."""
        try:
            event = decode(record.value, record.headers, record.timestamp)
        except RefusedEventError as error:
            self._refused[error.reason] += 1
            return
        if self._wanted.matches(event):
            self._shown += 1
            click.echo(line(event))
        else:
            self._others += 1

    def summary(self) -> str:
        """Return what was seen, in one line."""
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self._refused.items()))
        letters = f"{self._refused.total()} records that cannot be understood" + (f" ({reasons})" if reasons else "")
        return f"{self._shown} events shown, {self._others} of other jobs, {letters}"


def line(event: JobEvent) -> str:
    """Return the line for an event: time, job, stage, owner; nothing in it can forge another line or reverse text."""
    job = event.identity
    attempt = "" if job.attempt == DEFAULT_ATTEMPT else f" (attempt {job.attempt})"
    outcome = f" ({event.details['outcome']})" if "outcome" in event.details else ""
    return _printable(f"{iso_seconds(event.time)}  {job.job_id}{attempt}  {event.stage.text}{outcome}  {job.owner}")


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


@click.command(cls=SettingsCommand)
@settings_options(KafkaSettings)
@click.option("--owner", metavar="0x...", help="Only jobs of this owner.")
@click.option("--agreement-id", metavar="ID", help="Only jobs of this agreement.")
@click.option("--job-id", metavar="ID", help="Only this job.")
@click.option("--from-beginning", is_flag=True, help="Begin with the oldest event that Kafka has, not with the next.")
def events(
    settings: KafkaSettings, owner: str | None, agreement_id: str | None, job_id: str | None, *, from_beginning: bool
) -> None:
    """Print a line for each event as it arrives: time, job, stage, owner. Ctrl-C ends it.

    Records that cannot be understood are counted, not shown.
    """
    configure_logs(settings.log_format)
    wanted = Wanted(owner and owner.lower(), agreement_id and canonical_hex(agreement_id), job_id)
    run_async(_view(settings, View(wanted), from_beginning))


async def _view(settings: KafkaSettings, seen: View, from_beginning: bool) -> None:  # noqa: FBT001 - a flag typed by a person
    await require_topic(settings)
    with quiet_connection_attempts():
        async with new_consumer(settings, "earliest" if from_beginning else "latest") as consumer:
            await start_client(consumer, settings)
            await _settle_positions(consumer, settings)
            is_asked_to_end = stop_on_signals()  # until here Ctrl-C ends it at once
            click.echo(f"reading {settings.kafka_topic}; Ctrl-C ends it", err=True)
            while not is_asked_to_end.is_set():
                await _read(consumer, settings, seen)
    click.echo(seen.summary(), err=True)


async def _settle_positions(consumer: AIOKafkaConsumer, settings: KafkaSettings) -> None:
    """Fix where to begin, so that what arrives after we said that we read is seen."""
    try:
        async with asyncio.timeout(settings.start_timeout_seconds):
            for partition in consumer.assignment():
                await consumer.position(partition)
    except TimeoutError as error:
        raise ServiceUnavailableError(await why_unusable(settings, None)) from error


async def _read(consumer: AIOKafkaConsumer, settings: KafkaSettings, seen: View) -> None:
    try:
        batches = await consumer.getmany(timeout_ms=POLL_MILLISECONDS)
    except KafkaError as error:
        raise ServiceUnavailableError(await why_unusable(settings, error)) from error
    for records in batches.values():
        for record in records:
            seen.see(record)
    await asyncio.sleep(0)
