"""Commands for dead letters: `python -m projector dead-letters COMMAND`."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
import orjson

from projector.letters.headers import Decision
from projector.letters.reader import Filter, Redriven, find_letter, read_letters, redrive
from projector.operating.progress import progress
from projector.operating.running import run_until_told
from projector.settings import ProjectorSettings
from schemas.decode import Reason
from service.command_line import Group, json_option, run_async, settings_options
from service.errors import StoppedError
from service.logs import configure_logs
from service.moments import typed_moment

_PLACE: Final = re.compile(r"(/[0-9]+){0,2}")


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose dead letters; it receives them as one Filter."""

    def call(settings: ProjectorSettings, **arguments: Any) -> Any:
        since: datetime | timedelta | None = arguments.pop("since")
        wanted = Filter(
            arguments.pop("reason"),
            datetime.now(UTC) - since if isinstance(since, timedelta) else since,
            arguments.pop("job"),
            _place(settings, arguments.pop("where")),
        )
        return command(settings, wanted, **arguments)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__dict__.update(command.__dict__)  # the options given to the command itself
    options = (
        click.option(
            "--where",
            metavar="PLACE",
            help="Only those of TOPIC, TOPIC/PARTITION or TOPIC/PARTITION/OFFSET of the log.",
        ),
        click.option("--job", metavar="TEXT", help="Only those whose key or value contains this."),
        click.option(
            "--since",
            callback=typed_moment,
            metavar="TIME",
            help="Only those written since then: an ISO 8601 time, or an age such as 1h or 2d.",
        ),
        click.option(
            "--reason",
            type=click.Choice([*(reason.value for reason in Reason), *(decision.reason for decision in Decision)]),
            metavar="REASON",
            help="Only those with this reason.",
        ),
    )
    chosen: Callable[..., Any] = call
    for option in options:
        chosen = option(chosen)
    return chosen


def _place(settings: ProjectorSettings, where: str | None) -> str | None:
    """Return the place; a usage error when no letter can be of it."""
    topic = settings.kafka_topic
    if where is None or (where.startswith(topic) and _PLACE.fullmatch(where.removeprefix(topic))):
        return where
    raise click.UsageError(f"--where takes {topic}, with /PARTITION or /PARTITION/OFFSET behind it")


@click.group(cls=Group, name="dead-letters")
def dead_letters() -> None:
    """Look at records that could not be understood, and send again those that can by now."""


@dead_letters.command(name="list")
@json_option
@settings_options(ProjectorSettings)
@filter_options
def list_letters(settings: ProjectorSettings, wanted: Filter, *, as_json: bool) -> None:
    """Print a line for each dead letter, then how many there are; as JSON only the letters."""
    configure_logs(settings.log_format)

    async def main() -> None:
        count = 0
        async for letter in read_letters(settings, wanted):
            click.echo(orjson.dumps(letter.as_dict()) if as_json else letter)
            count += 1
        if not as_json:
            click.echo(f"{count} dead letters")

    run_async(main())


@dead_letters.command()
@click.argument("place", metavar="TOPIC/PARTITION/OFFSET")
@json_option
@settings_options(ProjectorSettings)
def show(settings: ProjectorSettings, place: str, *, as_json: bool) -> None:
    """Print everything about one dead letter; bytes from outside are shown quoted."""
    configure_logs(settings.log_format)

    async def main() -> None:
        letter = await find_letter(settings, place)
        if as_json:
            click.echo(orjson.dumps(letter.as_dict()))
            return
        click.echo(letter)
        for name, text in letter.about.items():
            click.echo(f"{name}: {text!r}")
        for name, content in letter.headers:
            click.echo(f"header {name!r}: {content!r}")
        click.echo(f"key: {letter.key!r}")
        click.echo(f"value: {letter.value!r}")

    run_async(main())


@dead_letters.command(name="redrive")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@json_option
@settings_options(ProjectorSettings)
@filter_options
def redrive_letters(settings: ProjectorSettings, wanted: Filter, *, dry_run: bool, as_json: bool) -> None:
    """Send the dead letters that are understood by now to the log again; repeating it is harmless."""
    configure_logs(settings.log_format)

    async def main() -> None:
        outcome = Redriven()
        try:
            with progress("redrive", "letters") as show:
                await redrive(settings, wanted, outcome, show, is_rehearsal=dry_run)
        except asyncio.CancelledError:
            raise StoppedError(f"stopped: {_told(outcome, dry_run)} by then; to send one twice is harmless") from None
        if as_json:
            click.echo(orjson.dumps({**asdict(outcome), "dry_run": dry_run}))
            return
        for place in outcome.places:
            click.echo(place)
        click.echo(_told(outcome, dry_run))

    run_until_told(main())


def _told(outcome: Redriven, is_rehearsal: bool) -> str:  # noqa: FBT001 - a word of the sentence depends on it
    done = "would be sent" if is_rehearsal else "sent"
    return f"{outcome.good} {done} again, {outcome.still_bad} not understood"
