"""Rebuild: the whole log is folded into a new generation beside the live one, which then takes its place.

    nothing -> building (resumed by the next rebuild when this one dies) -> live; the one that was live is kept

Case 1: it dies before its generation is in the catalog. Nothing was written.
Case 2: it dies while folding. The positions of the new generation are in it: the next rebuild goes on from there.
Case 3: it dies around the switch: see switch.py.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from projector.fold.batch import Batch
from projector.log.consumer import LogRange, partition_ranges
from projector.replay.follow.filled_generation import FilledGeneration
from projector.replay.follow.follower_pool import FollowerPool
from projector.replay.follow.follower_process import Task
from projector.replay.generations.drop import drop_keys
from projector.replay.generations.lease import leased
from projector.replay.generations.size import Room, size_of
from projector.replay.generations.switch import Switch, Work
from projector.replay.lost import lost_ranges
from projector.replay.progress import progress
from projector.replay.rebuild.carry import carry_over
from projector.replay.verify.comparison import Options as VerifyOptions
from projector.replay.verify.comparison import verify
from projector.replay.verify.difference import Difference
from projector.settings import ProjectorSettings
from projector.startup import cluster_of, require_redis, require_topics
from projector.store.catalog import Catalog, State
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


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of it: the generations, records below the positions, jobs carried over, and how long it took."""

    number: int
    replaced: int
    records: int
    carried: int
    seconds: float

    def __str__(self) -> str:
        """Return the sentence for people."""
        carried = f", {self.carried} jobs carried over" if self.carried else ""
        return (
            f"generation {self.number} is live: {self.records} records folded in {self.seconds:.1f} s{carried}; "
            f"generation {self.replaced} is kept"
        )


async def rebuild(settings: ProjectorSettings, redis: AnyRedis, options: Options) -> Rebuilt:
    """Build the next generation and switch to it. Raises CommandError, ProjectorError or KafkaError."""
    await require_topics(settings)
    await require_redis(redis, settings)
    log = LogIdentity(await cluster_of(settings), settings.kafka_topic)
    ranges = await partition_ranges(settings)
    catalog = Catalog(redis, settings.redis_prefix)
    async with leased(catalog, "rebuild") as lease:
        state = await catalog.read()
        live = _live(state, log, settings)
        starts = _starts(ranges, state, is_accepted=options.carry_over)
        began = time.monotonic()
        work = Work(redis, settings.redis_prefix, catalog, lease, live)
        await work.generation(live).unseal(lease.epoch)
        target = await _target(work, log, options, starts)
        task = Task(settings, target.pointer, options.rate)
        carried = 0
        with progress("rebuild") as show:
            is_live = False
            while not is_live:
                names = sorted(await partition_ranges(settings))
                with FollowerPool(task, names, options.processes) as followers:
                    switch = Switch(work, target, names, followers, Room(work.redis), show)
                    await switch.catch_up()
                    carried = await _carry_over(work, target)
                    if options.is_checked:
                        await _check(settings, work, target)
                    is_live = await switch.run()
    records = sum((await work.lowest(target.pointer, names)).values())
    return Rebuilt(target.pointer.number, live.number, records, carried, time.monotonic() - began)


async def _carry_over(work: Work, target: KeptGeneration) -> int:
    if not target.starts:
        return 0
    source, sink = work.generation(work.live), work.generation(target.pointer)
    return await carry_over(work.redis, work.prefix, source, sink, target.starts)


async def _check(settings: ProjectorSettings, work: Work, target: KeptGeneration) -> None:
    """Hold the new generation against the log, folded once more by other means; CommandError when it differs."""
    number = target.pointer.number
    differences: list[Difference] = []

    def found(difference: Difference, _is_mended: bool) -> None:  # noqa: FBT001 - what Found says
        if len(differences) < SHOWN_DIFFERENCES:
            differences.append(difference)

    findings = await verify(settings, work.redis, VerifyOptions(number), found)
    if not findings.is_right:
        raise CommandError(
            f"generation {number} was not switched to, it differs from the log: "
            f"{'; '.join(map(str, differences))}; look at it with `python -m projector verify --generation {number}`, "
            f"then drop it with `python -m projector generations drop {number}`"
        )


def _live(state: State, log: LogIdentity, settings: ProjectorSettings) -> Pointer:
    if state.live is None:
        raise CommandError("there is no projection to rebuild: start a projector, it folds the whole log")
    check_is_ours(state.live, log, settings.redis_prefix)
    return state.live


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


async def _target(work: Work, log: LogIdentity, options: Options, starts: Mapping[str, int]) -> KeptGeneration:
    """Return the generation to fold into: the one that an earlier rebuild left, else a new one."""
    state = await work.catalog.read()
    buckets = options.buckets or work.live.buckets
    wanted = (buckets, FOLD_VERSION, log.cluster, log.topic)
    target: KeptGeneration | None = None
    for kept in state.kept.values():
        pointer = kept.pointer
        found = (pointer.buckets, pointer.fold_version, pointer.cluster, pointer.topic)
        if kept.state == BUILDING and found == wanted and kept.starts == starts and target is None:
            target = kept
        elif kept.state != COMPLETE:  # left over by a command that died
            await drop_keys(work.redis, work.prefix, pointer)
            await work.catalog.forget(work.lease, pointer.number)
    if target is None:
        await _check_room(work)
        incarnations = tuple(secrets.token_hex(8) for _ in range(buckets))
        pointer = Pointer(state.next_number, buckets, FOLD_VERSION, log.cluster, log.topic, incarnations)
        target = KeptGeneration(pointer, BUILDING, await work.catalog.now(), starts=starts)
        await work.catalog.keep(work.lease, target)
        await drop_keys(work.redis, work.prefix, pointer)
    await _begin(work, target)
    return target


async def _check_room(work: Work) -> None:
    size = await size_of(work.redis, work.prefix, work.live)
    await Room(work.redis).check(size.bytes)


async def _begin(work: Work, target: KeptGeneration) -> None:
    """Make the buckets that are not there, standing where the log begins."""
    generation = FilledGeneration(work.redis, work.prefix, target.pointer)
    for bucket, incarnation in enumerate(target.pointer.incarnations):
        await generation.begin(target.pointer, bucket, {}, incarnation)
    for name, start in target.starts.items():
        standing = (await generation.standings([name]))[name].next
        if min(standing) == 0:
            batch = Batch()
            _, span = batch.span_of(name, 0)
            span.next = start
            await generation.apply(batch, {name: standing})
