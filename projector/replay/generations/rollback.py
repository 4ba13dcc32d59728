"""Rolling back: a generation that is kept becomes the live one again."""

from projector.log.consumer import partition_ranges
from projector.replay.follow.follower_pool import FollowerPool
from projector.replay.follow.follower_process import Task
from projector.replay.generations.lease import leased
from projector.replay.generations.size import Room
from projector.replay.generations.switch import Switch, Work, make_live, sealed
from projector.replay.progress import progress
from projector.settings import ProjectorSettings
from projector.startup import cluster_of, require_redis, require_topics
from projector.store.catalog import Catalog, State
from projector.store.live import LogIdentity, check_is_ours
from schemas.redis_layout import COMPLETE, FOLD_VERSION, KeptGeneration, Pointer
from service.errors import CommandError
from service.redis import AnyRedis


async def roll_back(settings: ProjectorSettings, redis: AnyRedis, number: int | None, *, processes: int) -> str:
    """Bring a kept generation (the one retired last, when none is named) to what is shown, and make it live."""
    await require_topics(settings)
    await require_redis(redis, settings)
    catalog = Catalog(redis, settings.redis_prefix)
    async with leased(catalog, "generations rollback") as lease:
        state = await catalog.read()
        target = await _chosen(state, number, settings)
        if target.pointer.fold_version != FOLD_VERSION:
            raise CommandError(
                f"generation {target.pointer.number} was folded by version {target.pointer.fold_version}, this is "
                f"{FOLD_VERSION}: run the rollback of that version, or switch first and let its projectors catch up "
                "(--now)"
            )
        work = Work(redis, settings.redis_prefix, catalog, lease, _live(state))
        await work.generation(work.live).unseal(lease.epoch)
        await work.generation(target.pointer).unseal(lease.epoch)
        task = Task(settings, target.pointer, None)
        with progress("rollback") as show:
            is_live = False
            while not is_live:
                names = sorted(await partition_ranges(settings))
                with FollowerPool(task, names, processes) as followers:
                    is_live = await Switch(work, target, names, followers, Room(redis), show).run()
    return f"generation {target.pointer.number} is live again; generation {work.live.number} is kept"


async def roll_back_now(settings: ProjectorSettings, redis: AnyRedis, number: int | None) -> str:
    """Make a kept generation live at once; projectors then bring it up to date, and every answer says its lag."""
    await require_redis(redis, settings)
    catalog = Catalog(redis, settings.redis_prefix)
    async with leased(catalog, "generations rollback --now") as lease:
        state = await catalog.read()
        target = await _chosen(state, number, settings)
        work = Work(redis, settings.redis_prefix, catalog, lease, _live(state))
        await work.generation(target.pointer).unseal(lease.epoch)
        async with sealed(work) as reached:
            await make_live(work, target, reached, floors={})
    return (
        f"generation {target.pointer.number} is live again and behind until projectors have caught up; "
        f"generation {work.live.number} is kept"
    )


async def _chosen(state: State, number: int | None, settings: ProjectorSettings) -> KeptGeneration:
    complete = {kept.pointer.number: kept for kept in state.kept.values() if kept.state == COMPLETE}
    if not complete:
        raise CommandError("no other generation is kept: there is nothing to roll back to")
    if number is None:
        number = max(complete, key=lambda each: complete[each].retired)
    if number not in complete:
        raise CommandError(f"generation {number} cannot go live: {', '.join(map(str, complete))} can")
    target = complete[number]
    check_is_ours(target.pointer, LogIdentity(await cluster_of(settings), settings.kafka_topic), settings.redis_prefix)
    return target


def _live(state: State) -> Pointer:
    if state.live is None:
        raise CommandError("there is no projection yet: start a projector")
    return state.live
