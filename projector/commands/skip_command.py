"""Command: `python -m projector skip`."""

import click

from projector.assignment.skip import skip
from projector.operating.outcome import Outcome
from projector.operating.running import run_on_redis
from projector.settings import ProjectorSettings
from service.command_line import SettingsCommand, json_option, settings_options
from service.redis import AnyRedis


@click.command(name="skip", cls=SettingsCommand)
@click.option("--partition", type=click.IntRange(0), help="The partition; all of them when not given.")
@click.option("--to", type=click.IntRange(0), help="The offset to go on from; needs --partition.")
@click.option("--to-log-start", is_flag=True, help="Go on from where the log begins now.")
@json_option
@settings_options(ProjectorSettings)
def skip_command(
    settings: ProjectorSettings, partition: int | None, to: int | None, *, to_log_start: bool, as_json: bool
) -> None:
    """Pass over events that are gone or cannot be read; a dead letter names the range."""
    if to_log_start == (to is not None):
        raise click.UsageError("give either --to-log-start, or --partition and --to")
    if to is not None and partition is None:
        raise click.UsageError("--to needs --partition")

    async def main(redis: AnyRedis) -> None:
        skipped = await skip(settings, redis, partition, to)
        facts = [{"partition": gap.partition, "start": gap.start, "to": gap.to} for gap in skipped]
        Outcome("\n".join(map(str, skipped)), {"skipped": facts}).tell(as_json=as_json)

    run_on_redis(settings, main)
