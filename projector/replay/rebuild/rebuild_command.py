"""Command: `python -m projector rebuild`."""

from typing import Any

import click

from projector.operating.child_processes import MAX_PROCESSES
from projector.operating.progress import progress
from projector.operating.running import run_on_redis
from projector.replay.generations.making import MAX_BUCKETS
from projector.replay.rebuild.rebuild import Options, rebuild
from projector.settings import ProjectorSettings
from service.command_line import SettingsCommand, json_option, settings_options
from service.redis import AnyRedis


@click.command(name="rebuild", cls=SettingsCommand)
@click.option(
    "--processes",
    type=click.IntRange(1, MAX_PROCESSES),
    help="How many fold; when not given 2, or 1 where the log is short.",
)
@click.option("--rate", type=click.FloatRange(1), help="At most so many events a second, to spare live traffic.")
@click.option("--buckets", type=click.IntRange(1, MAX_BUCKETS), help="Buckets of the new generation; as many as now.")
@click.option("--carry-over", is_flag=True, help="Take jobs that the log no longer knows from the live generation.")
@click.option("--check", "is_checked", is_flag=True, help="Verify the new generation before the switch.")
@click.option(
    "--accept-refusals",
    "accepts_refusals",
    is_flag=True,
    help="Switch also when records are refused that were accepted before; each gets a dead letter.",
)
@json_option
@settings_options(ProjectorSettings)
def rebuild_command(settings: ProjectorSettings, *, as_json: bool, **options: Any) -> None:
    """Fold the whole log into a new generation beside the live one, then switch to it.

    Readers and projectors go on meanwhile and follow by themselves. After a crash, the next rebuild resumes. The
    generation that was live is kept: see `generations`.
    """

    async def main(redis: AnyRedis) -> None:
        with progress("rebuild") as show:
            outcome = await rebuild(settings, redis, Options(**options), show)
        outcome.tell(as_json=as_json)

    run_on_redis(settings, main)
