"""The command that lets old jobs go: `python -m projector expire`."""

import sys
from datetime import datetime, timedelta
from typing import Any, Final

import click
import orjson

from projector.expiry.walk import count_all
from projector.operating.progress import progress
from projector.operating.running import run_on_redis
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog
from schemas.event_time import iso_seconds, sortable_time, sortable_timestamp
from schemas.redis_layout import Pointer
from service.command_line import SettingsCommand, json_option, settings_options
from service.errors import CommandError
from service.moments import typed_moment
from service.redis import AnyRedis

# A younger time is asked about.
UNASKED_AGE: Final = timedelta(days=1)


@click.command(cls=SettingsCommand)
@click.option(
    "--before",
    required=True,
    callback=typed_moment,
    metavar="TIME",
    help="An ISO 8601 time, UTC unless it says otherwise, or an age such as 90d or 12h.",
)
@click.option("--dry-run", is_flag=True, help="Only say how many jobs would go.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask, also when jobs of the last day would go.")
@json_option
@settings_options(ProjectorSettings)
def expire(
    settings: ProjectorSettings, before: datetime | timedelta, *, dry_run: bool, is_sure: bool, as_json: bool
) -> None:
    """Let the jobs go that have no news since a time, finished or not.

    They are hidden within a second or two, and running projectors delete them bit by bit. The time can only be raised:
    what has gone comes back neither by a rebuild nor otherwise.
    """

    async def main(redis: AnyRedis) -> None:
        catalog = Catalog(redis, settings.redis_prefix)
        live, cutoff, age = await _wanted(catalog, settings.redis_prefix, before)
        if dry_run:
            sentence, facts = await _rehearse(redis, settings.redis_prefix, live, cutoff)
        else:
            if age < UNASKED_AGE and not is_sure:
                _ask(cutoff)
            sentence, facts = await _expire(catalog, cutoff, before if isinstance(before, timedelta) else None)
        click.echo(orjson.dumps(facts) if as_json else sentence)

    run_on_redis(settings, main)


def _ask(cutoff: str) -> None:
    """Have a person confirm what is so late that hardly anybody means it; CommandError where nobody can be asked."""
    what = f"jobs without news since {iso_seconds(cutoff)}, less than a day ago, would go for good, running ones too"
    if not sys.stdin.isatty():
        raise CommandError(f"{what}: give --yes if that is meant")
    click.confirm(f"{what}. Is that meant?", abort=True)


async def _expire(catalog: Catalog, cutoff: str, age: timedelta | None) -> tuple[str, dict[str, Any]]:
    """Let them go; return what was done, in words and as an object."""
    in_force = await catalog.raise_cutoff(cutoff, None if age is None else int(age.total_seconds()))
    if in_force != cutoff:
        raise _too_old(in_force)
    time = iso_seconds(cutoff)
    sentence = f"jobs without news since {time} are hidden now; running projectors delete them bit by bit"
    return sentence, {"before": time}


async def _rehearse(redis: AnyRedis, prefix: str, live: Pointer, cutoff: str) -> tuple[str, dict[str, Any]]:
    """Count them; return what would be done, in words and as an object."""
    with progress("expire --dry-run", "jobs") as show:
        jobs, old, _ = await count_all(redis, prefix, live, cutoff, show)
    time = iso_seconds(cutoff)
    return f"{old} of {jobs} jobs have no news since {time} and would go", {"before": time, "old": old, "jobs": jobs}


async def _wanted(catalog: Catalog, prefix: str, before: datetime | timedelta) -> tuple[Pointer, str, timedelta]:
    """Return the live generation, the wanted cutoff, and how long ago that is; CommandError when it cannot be that."""
    state = await catalog.read()
    if state.live is None:
        raise CommandError(f"Redis holds no projection under the prefix {prefix!r}: start the projector first")
    now = sortable_timestamp(await catalog.now())
    cutoff = _sortable(before, now)
    if cutoff > now:
        raise CommandError(f"{iso_seconds(cutoff)} is in the future: by Redis' clock it is {iso_seconds(now)}")
    if cutoff < state.cutoff:
        raise _too_old(state.cutoff)
    return state.live, cutoff, datetime.fromisoformat(now) - datetime.fromisoformat(cutoff)


def _sortable(before: datetime | timedelta, now: str) -> str:
    """Return the whole second that is meant, so that what is printed can be given again."""
    try:
        moment = before if isinstance(before, datetime) else datetime.fromisoformat(now + "Z") - before
    except OverflowError:
        raise CommandError("so long ago is before the year 1") from None
    return sortable_time(moment.replace(microsecond=0).isoformat())


def _too_old(in_force: str) -> CommandError:
    return CommandError(
        f"jobs without news since {iso_seconds(in_force)} are hidden already: the time can only be raised"
    )
