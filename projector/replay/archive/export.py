"""Export: a generation as an archive, while events are applied to it.

The archive is right when the positions on its first line are older than every job in it, and those on its last line
younger. Case 1: Redis loses everything meanwhile. The buckets are other ones afterwards. Case 2: it loses its last
writes. Then a position has gone back, or, once a projector applies them again, a floor was raised first. In both cases
the archive gets no last line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from projector.errors import BucketMissingError
from projector.operating.outcome import Outcome
from projector.operating.progress import Show
from projector.replay.archive.lines import FORMAT, VERSION, Header, Resumption, line_of
from projector.replay.archive.stream import ArchiveWriter
from projector.replay.generations.choice import TO_EXPORT, choose
from projector.replay.generations.size import sizes_of
from projector.replay.stored_jobs import stored_jobs, stored_refused
from projector.replay.whole import require_whole
from projector.store.calls import limited
from projector.store.catalog import Catalog, State
from projector.store.ledger import Ledger, ledgers
from schemas.redis_layout import (
    FINGERPRINT,
    FLOOR,
    INCARNATION,
    META,
    POSITIONS,
    SEALED,
    KeptGeneration,
    Pointer,
    bucket_prefix,
)
from service.errors import CommandError
from service.redis import AnyRedis

# How often it is looked whether all buckets stand together; otherwise the ledger is made to fit the slowest.
_LOOKS: Final = 5
# What could not be imported is no backup.
_IF_DAMAGED: Final = (
    "it cannot be exported: delete it, and have its job folded again from the log by `python -m projector rebuild`"
)

Hash = Mapping[bytes, bytes]


async def export(redis: AnyRedis, prefix: str, number: int | None, writer: ArchiveWriter, show: Show) -> Outcome:
    """Write the live generation, or the one named, as an archive; return what to say of it.

    Raises CommandError or ProjectorError.
    """
    catalog = Catalog(redis, prefix)
    state = await catalog.read()
    chosen = choose(state, TO_EXPORT, number)
    source = Source(redis, prefix, chosen.pointer)
    await require_whole(redis, prefix, chosen.pointer)
    before = await source.settled()
    now = datetime.fromtimestamp(await catalog.now() // 1000, UTC)
    count = (await sizes_of(redis, prefix, [chosen.pointer]))[chosen.pointer.number].jobs
    writer.begin(_header(state, chosen, before, now, count))
    name = f"generation {chosen.pointer.number}"
    async for jobs in stored_jobs(redis, prefix, chosen.pointer, _IF_DAMAGED):
        writer.add(line_of(fields) for fields, _ in jobs)
        show({name: writer.jobs}, {name: max(count, writer.jobs)})
    async for refused in stored_refused(redis, prefix, chosen.pointer):
        writer.add_refused(refused)
    after = await source.stood()
    _check_unchanged(before, after)
    if (await catalog.read()).cutoff != state.cutoff:
        raise CommandError("jobs expired while they were exported, so the archive is not whole: run it again")
    writer.end(after.youngest)
    is_whole = all(before.smallest.get(partition, 0) >= floor for partition, floor in before.floors.items())
    rest = "" if is_whole else "; it was catching up, so it is older than what was shown before"
    facts = {"exported": chosen.pointer.number, "jobs": writer.jobs, "caught_up": is_whole}
    return Outcome(f"{writer.jobs} jobs of {name} exported{rest}", facts)


@dataclass(frozen=True, slots=True)
class Stood:
    """Where the buckets of a generation stood: the hashes `meta` and `positions` of each."""

    metas: Sequence[Hash]
    positions: Sequence[Hash]

    @property
    def ledgers(self) -> dict[str, Ledger]:
        """The ledger of each partition, by its name."""
        return ledgers(self.positions)

    @property
    def smallest(self) -> dict[str, int]:
        """The position that every bucket has reached, by partition."""
        return {name: ledger.next for name, ledger in self.ledgers.items()}

    @property
    def youngest(self) -> dict[str, int]:
        """The offset, by partition, from which on nothing is in any bucket, nor was shown before."""
        floors = self.floors
        return {
            name: max(floors.get(name, 0), *(int(bucket.get(name.encode(), 0)) for bucket in self.positions))
            for name in sorted({*self.ledgers, *floors})
        }

    @property
    def floors(self) -> dict[str, int]:
        """The highest floor of a bucket, by partition."""
        floors: dict[str, int] = {}
        for meta in self.metas:
            for field, offset in meta.items():
                name = field.decode()
                if name.startswith(FLOOR):
                    partition = name.removeprefix(FLOOR)
                    floors[partition] = max(int(offset), floors.get(partition, 0))
        return floors

    def resumption(self, name: str) -> Resumption:
        """Return where a partition is gone on from."""
        ledger = self.ledgers[name]
        slowest = min(self.positions, key=lambda bucket: int(bucket.get(name.encode(), 0)))
        fingerprint = slowest.get((name + FINGERPRINT).encode(), b"").decode()
        return Resumption(next=ledger.next, fingerprint=fingerprint, ledger=_fitting(ledger))


class Source:
    """A generation that is read while it is written."""

    def __init__(self, redis: AnyRedis, prefix: str, pointer: Pointer) -> None:
        self._redis = redis
        self._prefix = prefix
        self._pointer = pointer

    async def settled(self) -> Stood:
        """Return where it stands, if possible at a moment when all buckets stand together."""
        for _ in range(_LOOKS):
            stood = await self.stood()
            if all(ledger.is_settled for ledger in stood.ledgers.values()):
                break
        return stood

    async def stood(self) -> Stood:
        """Return where it stands; CommandError when a bucket is gone."""
        metas, positions = [], []
        for bucket in range(self._pointer.buckets):
            base = bucket_prefix(self._prefix, self._pointer.number, bucket)
            async with limited(), self._redis.pipeline(transaction=True) as pipeline:
                pipeline.hgetall(base + META)
                pipeline.hgetall(base + POSITIONS)
                meta, stored = await pipeline.execute()
            positions.append(stored)
            if INCARNATION.encode() not in meta:
                raise BucketMissingError(f"generation {self._pointer.number} is gone from Redis: nothing to export")
            metas.append({name: value for name, value in meta.items() if name != SEALED.encode()})
        return Stood(metas, positions)


def _header(state: State, chosen: KeptGeneration, stood: Stood, now: datetime, jobs: int) -> Header:
    pointer = chosen.pointer
    return Header(
        format=FORMAT,
        version=VERSION,
        fold=pointer.fold_version,
        cluster=pointer.cluster,
        topic=pointer.topic,
        generation=pointer.number,
        buckets=pointer.buckets,
        cutoff=state.cutoff,
        starts=dict(chosen.starts),
        skipped={name: {str(start): end for start, end in ranges.items()} for name, ranges in state.skipped.items()},
        time=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        jobs=jobs,
        positions={name: stood.resumption(name) for name in stood.ledgers},
    )


def _fitting(ledger: Ledger) -> list[int]:
    """Return the counts below the position of the slowest bucket.

    Buckets that stand further have counted what will be applied, and counted, once more.
    """
    counts = [ledger.applied, ledger.known, ledger.dead_lettered, ledger.no_record]
    surplus = 0 if ledger.is_settled else max(0, sum(counts) - ledger.next)
    for index, count in enumerate(counts):
        counts[index] -= min(count, surplus)
        surplus -= count - counts[index]
    return counts


def _check_unchanged(before: Stood, after: Stood) -> None:
    reached = after.smallest
    has_gone_back = any(reached.get(name, 0) < position for name, position in before.smallest.items())
    if has_gone_back or before.metas != after.metas:
        raise CommandError("Redis lost writes while it was exported, so the archive is not whole: run it again")
