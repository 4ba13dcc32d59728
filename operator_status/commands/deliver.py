"""`status-worker deliver`: send what jobs on this machine could not deliver."""

import asyncio
import logging
import signal
from contextlib import suppress
from itertools import islice
from typing import Final

import click

from operator_status.commands.help import SettingsCommand, kafka_options, loaded, say, seconds_option, spool_option
from operator_status.delivery.spool import Spool
from operator_status.errors import KafkaUnusableError, SettingsError
from operator_status.settings import SPOOL_VARIABLE, KafkaSettings

TIMEOUT_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 1.0  # between two looks at the spool
PAUSE_SECONDS: Final = 2.0  # before Kafka is tried again
CHUNK_REPORTS: Final = 500

_log = logging.getLogger(__name__)


@click.command(cls=SettingsCommand)
@kafka_options
@spool_option("Where jobs left their reports.")
@click.option("--watch", is_flag=True, help="Go on, and send what is left there from now on, until SIGTERM or Ctrl-C.")
@seconds_option("timeout", TIMEOUT_SECONDS, "Longest time that all of it may take; without --watch.")
def deliver(kafka: dict[str, str | None], *, spool_directory: str | None, watch: bool, timeout_seconds: float) -> None:
    """Send the reports that are in the spool, and remove each that Kafka has.

    Reports that somebody sends meanwhile, or that were sent already, do no harm. Exit codes: 0 done, 2 bad settings, 75
    Kafka or the topic is not there, and the reports stay.
    """
    settings = loaded(kafka)
    if not spool_directory:
        raise SettingsError([f"{SPOOL_VARIABLE}: give the folder in which jobs left their reports"])
    spool = Spool(spool_directory, settings.kafka_topic)
    if watch:
        asyncio.run(_watch(settings, spool))
        return
    delivered = asyncio.run(_within(settings, spool, timeout_seconds))
    say(f"{delivered} reports delivered")


async def _within(settings: KafkaSettings, spool: Spool, limit_seconds: float) -> int:
    """Return how many were delivered; raise what kept the rest from it."""
    delivered = 0
    trouble: Exception = KafkaUnusableError(f"not everything was sent within {limit_seconds:g} s", may_pass=True)
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_seconds):
            while spool.has_left():
                try:
                    delivered += await _send_left(settings, spool)
                except KafkaUnusableError as error:
                    trouble = error
                    if not error.may_pass:
                        break
                except TimeoutError as error:
                    trouble = KafkaUnusableError(f"Kafka does not acknowledge: {error}", may_pass=True)
                if spool.has_left():  # somebody else is at it, or Kafka is away
                    await asyncio.sleep(LOOK_SECONDS)
    if spool.has_left():
        raise trouble
    return delivered


async def _watch(settings: KafkaSettings, spool: Spool) -> None:
    is_asked_to_end = _asked_to_end()
    told = ""
    with suppress(asyncio.CancelledError):
        while not is_asked_to_end.is_set():
            if spool.has_left():
                try:
                    delivered = await _send_left(settings, spool)
                except Exception as error:  # noqa: BLE001 - whatever it is, the reports stay, and it is told
                    if str(error) != told:
                        told = str(error)
                        _log.warning("reports wait: %s", error)
                    await asyncio.sleep(PAUSE_SECONDS)
                else:
                    told = ""
                    if delivered:
                        say(f"{delivered} reports delivered")
            await asyncio.sleep(LOOK_SECONDS)


def _asked_to_end() -> asyncio.Event:
    """Return what SIGTERM and SIGINT set; they cancel what is under way too, which a client that closes may swallow."""
    is_asked, loop, task = asyncio.Event(), asyncio.get_running_loop(), asyncio.current_task()

    def ask() -> None:
        is_asked.set()
        if task:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
    return is_asked


async def _send_left(settings: KafkaSettings, spool: Spool) -> int:
    """Send what is there now, unless somebody else does."""
    from operator_status.delivery.kafka_client import connected_producer  # noqa: PLC0415 - help needs no Kafka
    from operator_status.delivery.left_reports import send_left  # noqa: PLC0415

    delivered = 0
    with spool.lock() as is_ours:
        if is_ours:
            async with connected_producer(settings) as producer:
                left = spool.left()
                while reports := list(islice(left, CHUNK_REPORTS)):
                    delivered += await send_left(producer, settings.kafka_topic, spool, reports)
    return delivered
