"""Rebuild: the whole log is folded into a new generation beside the live one, which then takes its place.

    nothing -> building (resumed by the next rebuild when this one dies) -> live; the one that was live is kept

Case 1: it dies before its generation is in the catalog. Nothing was written.
Case 2: it dies while folding. The positions of the new generation are in it: the next rebuild goes on from there.
Case 3: it dies around the switch: see switch.py.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from projector.log.consumer import LogRange, partition_ranges
from projector.log.topics import cluster_of, require_topics
from projector.replay.generations.change import Change, changing
from projector.replay.generations.choice import live_of
from projector.replay.generations.drop import QUIET_SECONDS
from projector.replay.generations.making import begin_buckets, go_to_start, make, remove
from projector.replay.generations.size import Size, require_room, sizes_of
from projector.replay.generations.switch import Switch
from projector.replay.lost import lost_ranges
from projector.replay.progress import progress
from projector.replay.rebuild.carry import carry_over
from projector.replay.verify.comparison import verify
from projector.replay.verify.difference import Difference
from projector.replay.verify.moment import Options as VerifyOptions
from projector.settings import ProjectorSettings
from projector.store.catalog import State
from projector.store.live import LogIdentity, check_is_ours
from schemas.redis_layout import BUILDING, COMPLETE, FOLD_VERSION, KeptGeneration, Pointer
from service.errors import CommandError
from service.redis import AnyRedis

SHOWN_DIFFERENCES: Final = 3


@dataclass(frozen=True, slots=True)
class Options:
    """How to rebuild.

    By how many processes, at most how many events a second (None: as fast as it goes), into how many buckets (None: as
    many as now); whether what the log has lost is carried over, and whether all is verified before the switch.
    """

    processes: int = 1
    rate: float | None = None
    buckets: int | None = None
    carry_over: bool = False
    is_checked: bool = False


async def rebuild(settings: ProjectorSettings, redis: AnyRedis, options: Options) -> str:
    """Build the next generation and switch to it; return what to say of it.

    Raises CommandError, ProjectorError or KafkaError.
    """
    await require_topics(settings)
    log = LogIdentity(await cluster_of(settings), settings.kafka_topic)
    ranges = await partition_ranges(settings)
    async with changing(redis, settings.redis_prefix, "rebuild") as change:
        state = await change.catalog.read()
        live = live_of(state, "there is no projection to rebuild: start a projector, it folds the whole log")
        check_is_ours(live, log, settings.redis_prefix)
        starts = _starts(ranges, state, is_accepted=options.carry_over)
        began = time.monotonic()
        await change.generation(live).buckets.unseal(change.lease.epoch)
        buckets = options.buckets or live.buckets
        wanted = Pointer(state.next_number, buckets, FOLD_VERSION, log.cluster, log.topic, ())
        size = (await sizes_of(redis, settings.redis_prefix, [live]))[live.number]
        target = await _target(change, state, wanted, starts, size)
        await _begin(change, state, target, list(ranges))
        carried = 0

        async def prepare() -> None:
            nonlocal carried
            if starts:
                carried = await carry_over(change, live, target.pointer, starts, state.cutoff)
            if options.is_checked:
                await _check(settings, change, live, target)

        with progress("rebuild") as show:
            reached = await Switch(change, live, target).once_followed(
                settings,
                show,
                processes=options.processes,
                rate=options.rate,
                needed_bytes=size.bytes,
                when_close=prepare,
            )
    jobs = f", {carried} jobs carried over" if carried else ""
    return (
        f"generation {target.pointer.number} is live: {sum(reached.values())} records folded in "
        f"{time.monotonic() - began:.1f} s{jobs}; generation {live.number} is kept"
    )


async def _check(settings: ProjectorSettings, change: Change, live: Pointer, target: KeptGeneration) -> None:
    """Hold the new generation against the log, folded once more by other means; CommandError when it differs.

    It is close behind the live one by now. What that one shows it must have too before it is compared, for of a small
    log all of it may be missing yet.
    """
    number = target.pointer.number
    differences: list[Difference] = []

    def found(difference: Difference, _is_mended: bool) -> None:  # noqa: FBT001 - what Found says
        if len(differences) < SHOWN_DIFFERENCES:
            differences.append(difference)

    shown = await change.generation(live).standings(list(await partition_ranges(settings)))
    at_least = {name: min(one.next) for name, one in shown.items()}
    findings = await verify(settings, change.redis, VerifyOptions(number, at_least=at_least), found)
    if not findings.is_right:
        raise CommandError(
            f"generation {number} was not switched to, it differs from the log: "
            f"{'; '.join(map(str, differences))}; look at it with `python -m projector verify --generation {number}`, "
            f"then drop it with `python -m projector generations drop {number}`"
        )


def _starts(ranges: Mapping[str, LogRange], state: State, *, is_accepted: bool) -> dict[str, int]:
    """Return where the log begins, for partitions that have lost events; CommandError unless that is accepted."""
    starts = {name: held.start for name, held in sorted(ranges.items()) if held.start}
    lost = lost_ranges(starts, state.skipped, begins={})
    if lost and not is_accepted:
        gone = "; ".join(f"{name}: events 0 to {start - 1}" for name, (_, start) in lost.items())
        raise CommandError(
            f"the log does not hold its beginning any more ({gone}), so a rebuild would lose jobs: --carry-over takes "
            "the jobs that the log no longer knows from the live generation"
        )
    return starts


async def _target(
    change: Change, state: State, wanted: Pointer, starts: Mapping[str, int], size: Size
) -> KeptGeneration:
    """Return the generation to fold into: that of an earlier rebuild, else a new one."""
    target: KeptGeneration | None = None
    for kept in state.kept.values():
        is_like = replace(kept.pointer, number=wanted.number, incarnations=()) == wanted and kept.starts == starts
        if kept.state == BUILDING and is_like and target is None:
            target = kept
        elif kept.state != COMPLETE:  # left over by a command that died; what was live may be read for a while
            await remove(change, kept, QUIET_SECONDS)
    if target is None:
        await require_room(change.redis, size.bytes, change.generation(wanted).buckets.bases)
        target = await make(change, wanted, BUILDING, starts)
    return target


async def _begin(change: Change, state: State, target: KeptGeneration, names: Sequence[str]) -> None:
    """Have it stand where the log begins; where jobs are let go, it is filled without those that have no news."""
    floors = {}
    if state.cutoff and state.live:
        standings = await change.generation(state.live).standings(names)
        floors = {name: max(one.next) for name, one in standings.items()}
    await begin_buckets(change, target.pointer, floors, state.cutoff)
    await go_to_start(change, target)
