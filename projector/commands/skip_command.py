"""Command: `python -m projector skip`."""

import click

from projector.assignment.skip import skip
from projector.settings import ProjectorSettings
from service.command_line import SettingsCommand, run_async, settings_options
from service.logs import configure_logs


@click.command(name="skip", cls=SettingsCommand)
@click.option("--partition", type=click.IntRange(0), help="The partition; all of them when not given.")
@click.option("--to", type=click.IntRange(0), help="The offset to go on from; needs --partition.")
@click.option("--to-log-start", is_flag=True, help="Go on from where the log begins now.")
@settings_options(ProjectorSettings)
def skip_command(settings: ProjectorSettings, partition: int | None, to: int | None, *, to_log_start: bool) -> None:
    """Pass over events that are gone or cannot be read; a dead letter names the range."""
    if to_log_start == (to is not None):
        raise click.UsageError("give either --to-log-start, or --partition and --to")
    if to is not None and partition is None:
        raise click.UsageError("--to needs --partition")
    configure_logs(settings.log_format)

    async def main() -> None:
        for skipped in await skip(settings, partition, to):
            click.echo(skipped)

    run_async(main())
