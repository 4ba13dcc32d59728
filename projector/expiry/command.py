"""The command that lets old jobs go: `python -m projector expire`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from projector.expiry.walk import count_all
from projector.running import run_on_redis
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog
from schemas.event_time import iso_seconds, sortable_time, sortable_timestamp
from schemas.redis_layout import Pointer
from service.command_line import settings_options
from service.errors import CommandError
from service.redis import AnyRedis

_DAYS: Final = re.compile(r"([0-9]{1,7})d")


def _before(_: click.Context, __: click.Parameter, text: str) -> datetime | timedelta:
    """Return the moment, or how long before now it is."""
    if days := _DAYS.fullmatch(text):
        return timedelta(days=int(days[1]))
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter("an ISO 8601 time such as 2026-01-31T00:00:00Z, or days such as 90d") from None


@click.command()
@click.option(
    "--before",
    required=True,
    callback=_before,
    metavar="TIME",
    help="An ISO 8601 time, UTC unless it says otherwise, or days such as 90d.",
)
@click.option("--dry-run", is_flag=True, help="Only say how many jobs would go.")
@settings_options(ProjectorSettings)
def expire(settings: ProjectorSettings, before: datetime | timedelta, *, dry_run: bool) -> None:
    """Let the jobs go that have no news since a time, finished or not.

    They are hidden within a second or two, and running projectors delete them bit by bit. The time can only be raised:
    what has gone comes back neither by a rebuild nor otherwise.
    """

    async def main(redis: AnyRedis) -> None:
        click.echo(await (_rehearse if dry_run else _expire)(redis, settings.redis_prefix, before))

    run_on_redis(settings, main)


async def _expire(redis: AnyRedis, prefix: str, before: datetime | timedelta) -> str:
    catalog = Catalog(redis, prefix)
    _, cutoff = await _wanted(catalog, prefix, before)
    in_force = await catalog.raise_cutoff(cutoff)
    if in_force != cutoff:
        raise _too_old(in_force)
    return f"jobs without news since {iso_seconds(cutoff)} are hidden now; running projectors delete them bit by bit"


async def _rehearse(redis: AnyRedis, prefix: str, before: datetime | timedelta) -> str:
    live, cutoff = await _wanted(Catalog(redis, prefix), prefix, before)
    jobs, old = await count_all(redis, prefix, live, cutoff)
    return f"{old} of {jobs} jobs have no news since {iso_seconds(cutoff)} and would go"


async def _wanted(catalog: Catalog, prefix: str, before: datetime | timedelta) -> tuple[Pointer, str]:
    """Return the live generation and the wanted cutoff; CommandError when it cannot be that."""
    state = await catalog.read()
    if state.live is None:
        raise CommandError(f"Redis holds no projection under the prefix {prefix!r}: start the projector first")
    now = sortable_timestamp(await catalog.now())
    cutoff = _sortable(before, now)
    if cutoff > now:
        raise CommandError(f"{iso_seconds(cutoff)} is in the future: by Redis' clock it is {iso_seconds(now)}")
    if cutoff < state.cutoff:
        raise _too_old(state.cutoff)
    return state.live, cutoff


def _sortable(before: datetime | timedelta, now: str) -> str:
    """Return the whole second that is meant, so that what is printed can be given again."""
    try:
        moment = before if isinstance(before, datetime) else datetime.fromisoformat(now + "Z") - before
    except OverflowError:
        raise CommandError("so many days ago is before the year 1") from None
    return sortable_time(moment.replace(microsecond=0).isoformat())


def _too_old(in_force: str) -> CommandError:
    return CommandError(
        f"jobs without news since {iso_seconds(in_force)} are hidden already: the time can only be raised"
    )
