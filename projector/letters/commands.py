"""Commands for dead letters: `python -m projector dead-letters COMMAND`."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from projector.letters.headers import Decision
from projector.letters.reader import Filter, find_letter, read_letters, redrive
from projector.settings import ProjectorSettings
from schemas.decode import Reason
from service.command_line import run_async, settings_options
from service.logs import configure_logs


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose dead letters; it receives them as one Filter."""

    def call(settings: ProjectorSettings, **arguments: Any) -> Any:
        since: datetime | None = arguments.pop("since")
        wanted = Filter(
            arguments.pop("reason"),
            since.replace(tzinfo=UTC) if since else None,
            arguments.pop("job"),
            arguments.pop("where"),
        )
        return command(settings, wanted, **arguments)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__dict__.update(command.__dict__)  # the options given to the command itself
    options = (
        click.option(
            "--where", metavar="PLACE", help="Only those of TOPIC, TOPIC/PARTITION or TOPIC/PARTITION/OFFSET."
        ),
        click.option("--job", metavar="TEXT", help="Only those whose key or value contains this."),
        click.option("--since", type=click.DateTime(), help="Only those written since then, UTC."),
        click.option(
            "--reason",
            type=click.Choice([*(reason.value for reason in Reason), *(decision.reason for decision in Decision)]),
            help="Only those with this reason.",
        ),
    )
    chosen: Callable[..., Any] = call
    for option in options:
        chosen = option(chosen)
    return chosen


@click.group(name="dead-letters")
def dead_letters() -> None:
    """Look at records that could not be understood, and send again those that can by now."""


@dead_letters.command(name="list")
@settings_options(ProjectorSettings)
@filter_options
def list_letters(settings: ProjectorSettings, wanted: Filter) -> None:
    """Print a line for each dead letter, then how many there are."""
    configure_logs(settings.log_format)

    async def main() -> None:
        count = 0
        async for letter in read_letters(settings, wanted):
            click.echo(letter)
            count += 1
        click.echo(f"{count} dead letters")

    run_async(main())


@dead_letters.command()
@click.argument("place", metavar="TOPIC/PARTITION/OFFSET")
@settings_options(ProjectorSettings)
def show(settings: ProjectorSettings, place: str) -> None:
    """Print everything about one dead letter; bytes from outside are shown quoted."""
    configure_logs(settings.log_format)

    async def main() -> None:
        letter = await find_letter(settings, place)
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
@settings_options(ProjectorSettings)
@filter_options
def redrive_letters(settings: ProjectorSettings, wanted: Filter, *, dry_run: bool) -> None:
    """Send the dead letters that are understood by now to the log again; repeating it is harmless."""
    configure_logs(settings.log_format)

    async def main() -> None:
        outcome = await redrive(settings, wanted, is_rehearsal=dry_run)
        for place in outcome.places:
            click.echo(place)
        click.echo(f"{outcome.good} {'would be sent' if dry_run else 'sent'} again, {outcome.still_bad} not understood")

    run_async(main())
