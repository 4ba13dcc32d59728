"""Rolling back: a generation that is kept becomes the live one again."""

from typing import Any

from projector.log.topics import cluster_of, require_topics
from projector.operating.outcome import Outcome
from projector.operating.progress import Show, silent
from projector.replay.generations.change import Change, changing
from projector.replay.generations.choice import TO_ROLL_BACK_TO, choose, live_of
from projector.replay.generations.switch import Switch
from projector.settings import ProjectorSettings
from projector.store.live import LogIdentity, check_is_ours
from schemas.redis_layout import FOLD_VERSION
from service.errors import CommandError
from service.redis import AnyRedis


async def roll_back(
    settings: ProjectorSettings, redis: AnyRedis, number: int | None, *, processes: int, show: Show = silent
) -> Outcome:
    """Bring a kept generation (the one retired last, when none is named) to what is shown, and make it live."""
    await require_topics(settings)
    async with changing(redis, settings.redis_prefix, "generations rollback") as change:
        switch = await _switch_to(change, number, settings)
        target = switch.target.pointer
        if target.fold_version != FOLD_VERSION:
            raise CommandError(
                f"generation {target.number} was folded by version {target.fold_version}, this is {FOLD_VERSION}: run "
                "the rollback of that version, or switch first and let its projectors catch up (--now)"
            )
        await change.generation(switch.live).buckets.unseal(change.lease.epoch)
        await change.generation(target).buckets.unseal(change.lease.epoch)
        await switch.once_followed(settings, show, processes=processes)
    return Outcome(f"generation {target.number} is live again; generation {switch.live.number} is kept", _facts(switch))


async def roll_back_now(settings: ProjectorSettings, redis: AnyRedis, number: int | None) -> Outcome:
    """Make a kept generation live at once; projectors then bring it up to date, and every answer says its lag."""
    async with changing(redis, settings.redis_prefix, "generations rollback --now") as change:
        switch = await _switch_to(change, number, settings)
        await change.generation(switch.target.pointer).buckets.unseal(change.lease.epoch)
        await switch.at_once()
    return Outcome(
        f"generation {switch.target.pointer.number} is live again and behind until projectors have caught up; "
        f"generation {switch.live.number} is kept",
        _facts(switch),
    )


def _facts(switch: Switch) -> dict[str, Any]:
    return {"live": switch.target.pointer.number, "kept": switch.live.number}


async def _switch_to(change: Change, number: int | None, settings: ProjectorSettings) -> Switch:
    state = await change.catalog.read()
    target = choose(state, TO_ROLL_BACK_TO, number)
    check_is_ours(target.pointer, LogIdentity(await cluster_of(settings), settings.kafka_topic), change.prefix)
    return Switch(change, live_of(state, "there is no projection yet: start a projector"), target)
