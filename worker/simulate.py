"""`python -m worker simulate`: workers that do not exist report jobs that nobody ordered."""

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from operator_status.delivery.kafka_client import new_producer
from service.command_line import Command, SettingsCommand, run_async, settings_options
from service.kafka import quiet_connection_attempts, start_client
from service.logs import configure_logs
from service.settings import KafkaSettings
from service.signals import stop_on_signals
from worker.app import require_topic
from worker.sending import BATCH_BYTES, Sending
from worker.simulation import Mix, events

LIVE_LINE_SECONDS: Final = 0.2
PLAIN_LINE_SECONDS: Final = 5.0
MAX_SEED: Final = 2**32

_FRACTION: Final = click.FloatRange(0, 1)
_DEFAULT: Final = Mix()


def _fraction(name: str, text: str) -> Callable[[Command], Command]:
    default = getattr(_DEFAULT, name.removeprefix("--").replace("-", "_"))
    return click.option(name, type=_FRACTION, default=default, show_default=True, metavar="FRACTION", help=text)


@click.command(cls=SettingsCommand)
@settings_options(KafkaSettings)
@click.option("--jobs", type=click.IntRange(0), default=0, help="How many jobs; 0, the default: until stopped.")
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=50.0,
    show_default=True,
    help="Events per second, over all jobs; 0: as fast as Kafka takes them, with times that end about now.",
)
@click.option("--as-fast-as-possible", "rate", flag_value=0.0, help="The same as --rate 0.")
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same jobs; random when not given.")
@click.option("--owners", type=click.IntRange(1), default=_DEFAULT.owners, show_default=True, help="How many owners.")
@click.option(
    "--pace",
    "pace_seconds",
    type=click.FloatRange(0, 86_400),
    default=_DEFAULT.pace_seconds,
    show_default=True,
    help="Mean seconds that a job stays in a stage.",
)
@_fraction("--late", "Events that are sent long after they happened.")
@_fraction("--duplicates", "Events that are sent twice.")
@_fraction("--out-of-order", "Events that are sent after the following one of their job.")
@_fraction("--garbage", "Events that are followed by a record which cannot be understood.")
@_fraction("--failures", "Attempts that fail or are cancelled; half of the failed jobs are tried again.")
def simulate(settings: KafkaSettings, jobs: int, rate: float, seed: int | None, **mix: Any) -> None:
    """Report simulated jobs to Kafka, in the mixture of good and bad that is asked for.

    The jobs are a function of the seed and the other options; only the times of the events depend on now. Ctrl-C ends
    it after what was sent is acknowledged.
    """
    if not rate and not jobs:
        raise click.UsageError("--rate 0 would never end: give --jobs, or a rate.")
    configure_logs(settings.log_format)
    run_async(_simulate(settings, jobs, rate, secrets.randbelow(MAX_SEED) if seed is None else seed, mix))


async def _simulate(settings: KafkaSettings, jobs: int, rate: float, seed: int, options: dict[str, Any]) -> None:
    await require_topic(settings)
    mix = Mix(**options, rate=rate or _DEFAULT.rate, start=datetime.now(UTC))
    if not rate:  # a history that ends now, not a future that begins now
        mix = Mix(**options, start=mix.start - timedelta(seconds=mix.span_seconds(jobs)))
    click.echo(f"simulating {jobs or 'endless'} jobs of seed {seed}, sent to {settings.kafka_topic}")
    begin = time.monotonic()
    with quiet_connection_attempts():
        async with new_producer(settings, compression_type="lz4", max_batch_size=BATCH_BYTES) as producer:
            await start_client(producer, settings)
            is_asked_to_end = stop_on_signals()  # until here Ctrl-C ends it at once
            sending = Sending(producer, settings, is_asked_to_end)
            async with _progress(sending):
                await sending.run(events(seed, jobs, mix), is_paced=bool(rate))
    seconds = time.monotonic() - begin
    click.echo(f"{_counts(sending)}; {seconds:.1f} s, {sending.sent / seconds:,.0f} a second")


@asynccontextmanager
async def _progress(sending: Sending) -> AsyncIterator[None]:
    """Say how far it is: one line that changes on a terminal, else a line now and then."""
    is_terminal = sys.stdout.isatty()
    task = asyncio.create_task(_live_line(sending) if is_terminal else _plain_lines(sending))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if is_terminal:
            click.echo("\r\x1b[K", nl=False)


async def _live_line(sending: Sending) -> None:
    while True:
        click.echo(f"\r\x1b[K{_counts(sending)}", nl=False)
        await asyncio.sleep(LIVE_LINE_SECONDS)


async def _plain_lines(sending: Sending) -> None:
    while True:
        await asyncio.sleep(PLAIN_LINE_SECONDS)
        click.echo(_counts(sending))


def _counts(sending: Sending) -> str:
    waiting = sending.sent - sending.acknowledged
    return (
        f"{sending.sent - sending.garbage:,} events of {sending.jobs:,} jobs sent, {sending.garbage:,} garbage records"
        + (f", {waiting:,} not acknowledged" if waiting else "")
    )
