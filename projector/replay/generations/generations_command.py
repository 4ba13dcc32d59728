"""Commands: `python -m projector rebuild` and `python -m projector generations`."""

from typing import Any

import click
import orjson

from projector.replay.generations.drop import QUIET_SECONDS, drop
from projector.replay.generations.listing import as_table, list_generations
from projector.replay.generations.rollback import roll_back, roll_back_now
from projector.replay.rebuild.rebuild import Options, rebuild
from projector.running import run_on_redis
from projector.settings import ProjectorSettings
from service.command_line import settings_options
from service.redis import AnyRedis

MAX_PROCESSES = 64
MAX_BUCKETS = 256


@click.command(name="rebuild")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, MAX_PROCESSES), help="How many fold.")
@click.option("--rate", type=click.FloatRange(1), help="At most so many events a second, to spare live traffic.")
@click.option("--buckets", type=click.IntRange(1, MAX_BUCKETS), help="Buckets of the new generation; as many as now.")
@click.option("--carry-over", is_flag=True, help="Take jobs that the log no longer knows from the live generation.")
@click.option("--check", "is_checked", is_flag=True, help="Verify the new generation before the switch.")
@settings_options(ProjectorSettings)
def rebuild_command(settings: ProjectorSettings, **options: Any) -> None:
    """Fold the whole log into a new generation beside the live one, then switch to it.

    Readers and projectors go on meanwhile and follow by themselves. After a crash, the next rebuild resumes. The
    generation that was live is kept: see `generations`.
    """

    async def main(redis: AnyRedis) -> None:
        click.echo(await rebuild(settings, redis, Options(**options)))

    run_on_redis(settings, main)


@click.group()
def generations() -> None:
    """List, switch and drop the generations of the projection."""


@generations.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each generation, with its positions.")
@settings_options(ProjectorSettings)
def list_command(settings: ProjectorSettings, *, as_json: bool) -> None:
    """Show every generation: state, jobs, size, buckets, fold version, events behind the log, age."""

    async def main(redis: AnyRedis) -> None:
        listed = await list_generations(settings, redis)
        lines = [orjson.dumps(one.as_dict()).decode() for one in listed] if as_json else as_table(listed)
        for line in lines:
            click.echo(line)

    run_on_redis(settings, main)


@generations.command()
@click.argument("number", required=False, type=click.IntRange(1))
@click.option("--now", is_flag=True, help="Switch first; answers are old, and say so, until projectors catch up.")
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, MAX_PROCESSES), help="How many fold.")
@settings_options(ProjectorSettings)
def rollback(settings: ProjectorSettings, number: int | None, processes: int, *, now: bool) -> None:
    """Switch back to generation NUMBER, or to the one that was live last.

    It catches up on what it missed and then goes live, so that readers see nothing older than before.
    """

    async def main(redis: AnyRedis) -> None:
        if now:
            click.echo(await roll_back_now(settings, redis, number))
        else:
            click.echo(await roll_back(settings, redis, number, processes=processes))

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
@settings_options(ProjectorSettings)
def drop_command(settings: ProjectorSettings, number: int, wait: float) -> None:
    """Delete generation NUMBER, in small steps; never the live one."""

    async def main(redis: AnyRedis) -> None:
        deleted = await drop(redis, settings, number, wait)
        click.echo(f"generation {number} is gone: {deleted} keys deleted")

    run_on_redis(settings, main)
