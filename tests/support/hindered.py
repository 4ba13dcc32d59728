"""A projector that a test can hinder while it runs, by signals: blocked, without a consumer, frozen before a write."""

import asyncio
import os
import signal
import time
from typing import Final

import click
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaTimeoutError

from projector import watchdog
from projector.app import run_projector
from projector.log.consumer import POLL_MILLISECONDS, Log
from projector.settings import ProjectorSettings
from projector.store.generation import Prepared
from projector.store.live import Live
from service.command_line import run_async, run_command
from service.logs import configure_logs

BLOCK: Final = signal.SIGUSR1
SILENCE: Final = signal.SIGUSR2
FREEZE: Final = signal.SIGHUP
BLOCKED_SECONDS: Final = 15.0  # more than twice the session that the group allows
STUCK_AFTER_SECONDS: Final = 4.0


async def _nothing(_: Log) -> dict[object, object]:
    await asyncio.sleep(POLL_MILLISECONDS / 1000)
    return {}


def _silence() -> None:
    """From now on the consumer delivers nothing, and raises nothing, as one does that is stuck."""
    setattr(Log, "poll", _nothing)  # noqa: B010 - mypy would not have it otherwise
    setattr(watchdog, "STUCK_AFTER_SECONDS", STUCK_AFTER_SECONDS)  # noqa: B010 - as above


def _freeze() -> None:
    """Stop the process, as SIGSTOP does at the worst moment: when its next batch is folded and about to be written."""
    write = Live.write

    async def freeze(store: Live, prepared: Prepared) -> int:
        setattr(Live, "write", write)  # noqa: B010 - as above
        os.kill(os.getpid(), signal.SIGSTOP)
        return await write(store, prepared)

    setattr(Live, "write", freeze)  # noqa: B010 - as above


def _have_no_partition() -> None:
    """Have nothing assigned, as a member that its group has forgotten."""
    setattr(Log, "assignment", property(lambda _: set()))  # noqa: B010 - as above
    setattr(watchdog, "STUCK_AFTER_SECONDS", STUCK_AFTER_SECONDS)  # noqa: B010 - as above


def _have_no_end() -> None:
    """Have Kafka never say how far the log goes, as a client that has lost its brokers for good."""

    async def raise_timeout(*_: object) -> None:
        raise KafkaTimeoutError

    setattr(Log, "ends_known", raise_timeout)  # noqa: B010 - as above
    setattr(watchdog, "HELPLESS_AFTER_SECONDS", STUCK_AFTER_SECONDS)  # noqa: B010 - as above


def _know_no_broker() -> None:
    """Have the consumer know of no broker when it joins its group, as one that met a broker too early."""
    join = Log.join

    async def join_without(log: Log) -> None:
        setattr(AIOKafkaClient, "get_random_node", lambda _: None)  # noqa: B010 - as above
        await join(log)

    setattr(Log, "join", join_without)  # noqa: B010 - as above


async def _run(settings: ProjectorSettings) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(BLOCK, time.sleep, BLOCKED_SECONDS)
    loop.add_signal_handler(SILENCE, _silence)
    loop.add_signal_handler(FREEZE, _freeze)
    await run_projector(settings)


HINDRANCES: Final = {"no broker": _know_no_broker, "no partition": _have_no_partition, "no end": _have_no_end}


@click.command()
@click.argument("hindrance", type=click.Choice(list(HINDRANCES)), required=False)
def main(hindrance: str | None) -> None:
    """Run it until SIGTERM, with the settings of the environment; hindered from the start, or by signals."""
    if hindrance:
        HINDRANCES[hindrance]()
    settings = ProjectorSettings.load(os.environ)
    configure_logs(settings.log_format)
    run_async(_run(settings))


if __name__ == "__main__":
    run_command(main, "hindered")
