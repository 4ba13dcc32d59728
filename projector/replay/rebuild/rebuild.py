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
from projector.operating.outcome import Outcome
from projector.operating.progress import Show, Stage, silent
from projector.replay.generations.change import Change, changing
from projector.replay.generations.choice import live_of
from projector.replay.generations.drop import QUIET_SECONDS
from projector.replay.generations.making import begin_buckets, go_to_start, make, remove
from projector.replay.generations.size import require_room, sizes_of
from projector.replay.generations.switch import Switch
from projector.replay.lost import lost_ranges
from projector.replay.rebuild.carry import carry_over
from projector.replay.rebuild.refusals import RefusalsError, require_known_refusals
from projector.replay.verify.comparison import verify
from projector.replay.verify.difference import Difference
from projector.replay.verify.moment import Options as VerifyOptions
from projector.replay.whole import require_whole
from projector.settings import ProjectorSettings
from projector.store.buckets import Offsets
from projector.store.catalog import State
from projector.store.live import LogIdentity, check_is_ours
from schemas.redis_layout import BUILDING, COMPLETE, FOLD_VERSION, KeptGeneration, Pointer
from service.errors import CommandError
from service.redis import AnyRedis

SHOWN_DIFFERENCES: Final = 3


@dataclass(frozen=True, slots=True)
class Options:
    """How to rebuild.

    By how many processes (None: see `Switch.once_followed`), at most how many events a second (None: as fast as it
    goes), into how many buckets (None: as many as now); whether what the log has lost is carried over, whether all is
    verified before the switch, and whether records may be refused that the live generation accepted.
    """

    processes: int | None = None
    rate: float | None = None
    buckets: int | None = None
    carry_over: bool = False
    is_checked: bool = False
    accepts_refusals: bool = False


async def rebuild(settings: ProjectorSettings, redis: AnyRedis, options: Options, show: Show = silent) -> Outcome:
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
        await require_whole(redis, settings.redis_prefix, live)
        starts = _starts(ranges, state, is_accepted=options.carry_over)
        began = time.monotonic()
        await change.generation(live).buckets.unseal(change.lease.epoch)
        needed_bytes = (await sizes_of(redis, settings.redis_prefix, [live]))[live.number].bytes
        building = _Rebuild(settings, change, state, live, starts, options, show, needed_bytes)
        target = await building.target(log)
        await building.begin(target, list(ranges))
        reached, carried = await building.fill(target)
    records, seconds = sum(reached.values()), time.monotonic() - began
    number = target.pointer.number
    jobs = f", {carried} jobs carried over" if carried else ""
    return Outcome(
        f"generation {number} is live: {records} records folded in {seconds:.1f} s{jobs}; "
        f"generation {live.number} is kept",
        {"live": number, "kept": live.number, "records": records, "seconds": round(seconds, 1), "carried": carried},
    )


@dataclass(frozen=True, slots=True)
class _Rebuild:
    """A rebuild that holds the lease: beside the live generation, of a log that begins at `starts`.

    It will take about as many bytes as the live one does.
    """

    settings: ProjectorSettings
    change: Change
    state: State
    live: Pointer
    starts: Mapping[str, int]
    options: Options
    show: Show
    needed_bytes: int

    async def target(self, log: LogIdentity) -> KeptGeneration:
        """Return the generation to fold into: that of an earlier rebuild, else, or when it must be, a new one."""
        change, state = self.change, self.state
        buckets = self.options.buckets or self.live.buckets
        wanted = Pointer(state.next_number, buckets, FOLD_VERSION, log.cluster, log.topic, ())
        target: KeptGeneration | None = None
        for kept in state.kept.values():
            is_like = replace(kept.pointer, number=wanted.number, incarnations=()) == wanted
            may_go_on = kept.state == BUILDING and is_like and kept.starts == self.starts
            if may_go_on and target is None and not self.options.accepts_refusals:
                target = kept
            elif kept.state != COMPLETE:  # left over by a command that died; what was live may be read for a while
                await remove(change, kept, QUIET_SECONDS, self.show)
        if target is None:
            await require_room(change.redis, self.needed_bytes, change.generation(wanted).buckets.bases)
            self.show({}, {}, Stage(f"makes generation {wanted.number}"))
            target = await make(change, wanted, BUILDING, self.starts)
        return target

    async def begin(self, target: KeptGeneration, names: Sequence[str]) -> None:
        """Have it stand where the log begins; where jobs are let go, it is filled without those that have no news."""
        floors = {}
        if self.state.cutoff:
            standings = await self.change.generation(self.live).standings(names)
            floors = {name: max(one.next) for name, one in standings.items()}
        await begin_buckets(self.change, target.pointer, floors, self.state.cutoff)
        await go_to_start(self.change, target)

    async def fill(self, target: KeptGeneration) -> tuple[Offsets, int]:
        """Fold what it lacks, then switch to it; return where it went live, and how many jobs were carried over."""
        carried = 0

        async def prepare() -> None:
            nonlocal carried
            if self.starts:
                self.show({}, {}, Stage("carries over what the log has lost"))
                carried = await carry_over(self.change, self.live, target.pointer, self.starts, self.state.cutoff)
            if self.options.is_checked:
                await self._check(target)

        async def look_at_refusals() -> None:
            await require_known_refusals(self.change, self.live, target)

        try:
            reached = await Switch(self.change, self.live, target).once_followed(
                self.settings,
                self.show,
                processes=self.options.processes,
                rate=self.options.rate,
                needed_bytes=self.needed_bytes,
                writes_letters=self.options.accepts_refusals,
                when_close=prepare,
                when_reached=None if self.options.accepts_refusals else look_at_refusals,
            )
        except RefusalsError:
            await remove(self.change, target)  # the next rebuild would go on with it, though it is right by then
            raise
        return reached, carried

    async def _check(self, target: KeptGeneration) -> None:
        """Hold the new generation against the log, folded once more by other means; CommandError when it differs.

        It is close behind the live one by now. What that one shows it must have too before it is compared, for of a
        small log all of it may be missing yet.
        """
        number = target.pointer.number
        differences: list[Difference] = []

        def found(difference: Difference, _is_mended: bool) -> None:  # noqa: FBT001 - what Found says
            if len(differences) < SHOWN_DIFFERENCES:
                differences.append(difference)

        shown = await self.change.generation(self.live).standings(list(await partition_ranges(self.settings)))
        options = VerifyOptions(number, at_least={name: min(one.next) for name, one in shown.items()})
        findings = await verify(self.settings, self.change.redis, options, found, self.show)
        if not findings.is_right:
            raise CommandError(
                f"generation {number} was not switched to, it differs from the log: "
                f"{'; '.join(map(str, differences))}; look at it with "
                f"`python -m projector verify --generation {number}`, then drop it with "
                f"`python -m projector generations drop {number}`"
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
