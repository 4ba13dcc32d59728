"""Dropping a generation, after those who still read it have finished."""

from typing import Final

from projector.operating.outcome import Outcome
from projector.operating.progress import Show, silent
from projector.replay.generations.change import changing
from projector.replay.generations.making import remove
from projector.settings import ProjectorSettings
from service.errors import CommandError
from service.redis import AnyRedis

# A list that was begun before the switch may be read for as long.
QUIET_SECONDS: Final = 60.0


async def drop(
    redis: AnyRedis, settings: ProjectorSettings, number: int, quiet_seconds: float, show: Show = silent
) -> Outcome:
    """Drop a generation that is not live; return what to say of it. Raises CommandError."""
    async with changing(redis, settings.redis_prefix, f"generations drop {number}") as change:
        state = await change.catalog.read()
        if state.live and state.live.number == number:
            raise CommandError(f"generation {number} is live: switch to another one before you drop it")
        kept = state.kept.get(number)
        if kept is None:
            raise CommandError(f"there is no generation {number}: {sorted(state.kept) or 'none'} are kept")
        deleted = await remove(change, kept, quiet_seconds, show)
    return Outcome(f"generation {number} is gone: {deleted} keys deleted", {"gone": number, "keys": deleted})
