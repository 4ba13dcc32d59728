"""Commands: `python -m projector generations list`, `rollback` and `drop`."""

import click
import orjson

from projector.operating.child_processes import MAX_PROCESSES
from projector.operating.progress import progress
from projector.operating.running import run_on_redis
from projector.replay.generations.drop import QUIET_SECONDS, drop
from projector.replay.generations.listing import as_table, list_generations
from projector.replay.generations.rollback import roll_back, roll_back_now
from projector.settings import ProjectorSettings
from service.command_line import Group, json_option, settings_options
from service.redis import AnyRedis


class _ListingGroup(Group):
    """A group that lists when no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in front of options that stand alone."""
        is_alone = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if is_alone else args)


@click.group(cls=_ListingGroup)
def generations() -> None:
    """List, switch and drop the generations of the projection; without a command, list them."""


@generations.command(name="list")
@json_option
@settings_options(ProjectorSettings)
def list_command(settings: ProjectorSettings, *, as_json: bool) -> None:
    """Show every generation: state, jobs, size, buckets, fold version, events behind the log, age."""

    async def main(redis: AnyRedis) -> None:
        listed = await list_generations(settings, redis)
        lines = [orjson.dumps(one).decode() for one in listed] if as_json else as_table(listed)
        for line in lines:
            click.echo(line)

    run_on_redis(settings, main)


@generations.command()
@click.argument("number", required=False, type=click.IntRange(1))
@click.option("--now", is_flag=True, help="Switch first; answers are old, and say so, until projectors catch up.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, MAX_PROCESSES), help="How many fold.")
@json_option
@settings_options(ProjectorSettings)
def rollback(settings: ProjectorSettings, number: int | None, processes: int, *, now: bool, as_json: bool) -> None:
    """Switch back to generation NUMBER, or to the one that was live last.

    It catches up on what it missed and then goes live, so that readers see nothing older than before.
    """

    async def main(redis: AnyRedis) -> None:
        if now:
            outcome = await roll_back_now(settings, redis, number)
        else:
            with progress("rollback") as show:
                outcome = await roll_back(settings, redis, number, processes=processes, show=show)
        outcome.tell(as_json=as_json)

    run_on_redis(settings, main)


@generations.command(name="drop")
@click.argument("number", type=click.IntRange(1))
@click.option(
    "--wait",
    default=QUIET_SECONDS,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds since it was live, so that whoever began to read it can finish.",
)
@json_option
@settings_options(ProjectorSettings)
def drop_command(settings: ProjectorSettings, number: int, wait: float, *, as_json: bool) -> None:
    """Delete generation NUMBER, in small steps; never the live one."""

    async def main(redis: AnyRedis) -> None:
        with progress("drop", "keys") as show:
            outcome = await drop(redis, settings, number, wait, show)
        outcome.tell(as_json=as_json)

    run_on_redis(settings, main)
