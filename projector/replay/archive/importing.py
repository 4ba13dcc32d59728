"""Import: an archive becomes a generation, which goes live at once where none is, and else waits for a rollback.

    nothing -> importing (removed by the next import when this one dies) -> live, or complete beside the live one

Case 1: the archive turns out not to be whole. What was written is removed, and nothing goes live.
Case 2: it dies. Its generation is in the catalog as importing: nobody reads it, and the next import removes it.
Case 3: a projector starts meanwhile. It waits for the lease to end; so it finds the imported generation, or none.
"""

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from projector.errors import BucketMissingError, LeaseLostError, ProjectorError, StoreUnavailableError
from projector.log.consumer import LogRange, partition_ranges
from projector.log.topics import cluster_of, require_topics
from projector.replay.archive.lines import ArchiveError, End, Header
from projector.replay.archive.stream import ArchiveReader
from projector.replay.generations.drop import drop_keys
from projector.replay.generations.joining import join
from projector.replay.generations.lease import leased
from projector.replay.generations.size import Room
from projector.replay.generations.switch import patiently
from projector.replay.progress import Show
from projector.settings import ProjectorSettings
from projector.store.calls import Script
from projector.store.catalog import Catalog, Lease, State
from projector.store.generation import Generation
from schemas.redis_layout import (
    COMPLETE,
    CUTOFF,
    DROPPING,
    FOLD_VERSION,
    IMPORTING,
    META,
    POSITIONS,
    SKIPPED,
    KeptGeneration,
    Pointer,
    bucket_prefix,
)
from service.redis import AnyRedis

_MEMORY_EVERY_BATCHES = 20


@dataclass(frozen=True, slots=True)
class Imported:
    """What was imported: the generation, its jobs, and the generation that stays live, None when it is live itself."""

    generation: int
    jobs: int
    live: int | None

    def __str__(self) -> str:
        """Return the sentence for people."""
        if self.live is None:
            return f"generation {self.generation} is live, with {self.jobs} jobs: projectors go on from there"
        return (
            f"generation {self.generation} is kept, with {self.jobs} jobs, and generation {self.live} stays live: "
            f"`python -m projector generations rollback {self.generation}` switches"
        )


async def import_archive(
    settings: ProjectorSettings, redis: AnyRedis, reader: ArchiveReader, buckets: int | None, show: Show
) -> Imported:
    """Make a generation of an archive. Raises CommandError, ProjectorError or KafkaError."""
    header = await reader.header()
    await _check_is_ours(header, settings)
    catalog = Catalog(redis, settings.redis_prefix)
    async with leased(catalog, "import") as lease:
        state = await catalog.read()
        _check_fits_beside(state, header)
        work = Import(redis, settings.redis_prefix, catalog, lease)
        # The number is chosen before a left-over one is free again: whoever left it may only be paused.
        number = state.next_number
        await work.remove_left_over(state)
        kept = await work.begin(header, number, buckets or header.buckets)
        try:
            await work.fill(kept, reader, header, show, is_beside=state.live is not None)
            _check_log(await partition_ranges(settings), reader.end)
            await work.set_positions(kept, header, reader.end)
            live = await work.publish(kept, header)
        except BaseException:
            await work.remove(kept)
            raise
    return Imported(number, reader.jobs, live)


@dataclass(frozen=True, slots=True)
class Import:
    """An import under way."""

    redis: AnyRedis
    prefix: str
    catalog: Catalog
    lease: Lease

    async def remove_left_over(self, state: State) -> None:
        """Remove what imports that died have left; what was live once may still be read, and is left to `drop`."""
        for kept in state.kept.values():
            if kept.state in {IMPORTING, DROPPING} and not kept.retired:
                await self._drop(kept)

    async def remove(self, kept: KeptGeneration) -> None:
        """Remove what we have written; what hinders it leaves it to the next import."""
        with contextlib.suppress(ProjectorError):
            await self._drop(kept)

    async def begin(self, header: Header, number: int, buckets: int) -> KeptGeneration:
        """Write down the new generation and make its buckets."""
        incarnations = tuple(secrets.token_hex(8) for _ in range(buckets))
        pointer = Pointer(number, buckets, header.fold, header.cluster, header.topic, incarnations)
        kept = KeptGeneration(pointer, IMPORTING, await self.catalog.now(), starts=header.starts)
        await self.catalog.keep(self.lease, kept)
        await drop_keys(self.redis, self.prefix, pointer)  # of a generation whose catalog was lost
        generation = self._generation(pointer)
        for bucket, incarnation in enumerate(incarnations):
            await generation.buckets.begin(bucket, {}, incarnation)
        return kept

    async def fill(
        self, kept: KeptGeneration, reader: ArchiveReader, header: Header, show: Show, *, is_beside: bool
    ) -> None:
        """Write the jobs; beside a live generation only as long as that keeps room to grow."""
        generation, room = self._generation(kept.pointer), Room(self.redis)
        name = f"generation {kept.pointer.number}"
        batches = 0
        async for jobs in reader.batches():
            if is_beside and batches % _MEMORY_EVERY_BATCHES == 0:
                await room.check()
            await join(self.redis, generation, jobs)
            batches += 1
            show({name: reader.jobs}, {name: max(header.jobs, reader.jobs)})

    async def set_positions(self, kept: KeptGeneration, header: Header, end: End) -> None:
        """Let every bucket be gone on from the positions of the first line, and be read from those of the last on."""
        resume = Script(self.redis, "replay/resume")
        for bucket, incarnation in enumerate(kept.pointer.incarnations):
            fields: dict[str, str] = {}
            for name, resumption in header.positions.items():
                fields |= resumption.as_fields(name, has_ledger=bucket == 0)
            base = bucket_prefix(self.prefix, kept.pointer.number, bucket)
            flat = [item for pair in fields.items() for item in pair]
            if (await resume([base + META, base + POSITIONS], [incarnation, *flat]))[0] != b"set":
                raise BucketMissingError("Redis lost what was imported: run the command again")
        await self._generation(kept.pointer).buckets.raise_floors(end.positions)

    async def publish(self, kept: KeptGeneration, header: Header) -> int | None:
        """Make the generation live where none is, else keep it; return the one that stays live."""
        state = await self.catalog.read()
        _check_fits_beside(state, header)
        if state.live:
            await self.catalog.keep(self.lease, replace(kept, state=COMPLETE))
            return state.live.number
        await self.catalog.change(self.lease, _decisions(state, header))
        try:
            await self.catalog.switch(self.lease, kept, None)
        except (StoreUnavailableError, LeaseLostError):
            # The outcome is unknown, and the pointer tells it.
            if (await patiently(self.catalog.read)()).live != kept.pointer:
                raise
        return None

    async def _drop(self, kept: KeptGeneration) -> None:
        """Delete a generation; LeaseLostError, before anything is, when that is not ours to do any more."""
        await self.catalog.keep(self.lease, replace(kept, state=DROPPING))
        await drop_keys(self.redis, self.prefix, kept.pointer)
        await self.catalog.forget(self.lease, kept.pointer.number)

    def _generation(self, pointer: Pointer) -> Generation:
        return Generation(self.redis, self.prefix, pointer)


async def _check_is_ours(header: Header, settings: ProjectorSettings) -> None:
    """Raise ArchiveError unless the archive is a fold like ours of our log."""
    if header.fold != FOLD_VERSION:
        raise ArchiveError(
            f"the archive was folded by version {header.fold}, this release folds by version {FOLD_VERSION}; fold the "
            "log again instead: start a projector, or run `python -m projector rebuild` where a projection is"
        )
    await require_topics(settings)
    cluster = await cluster_of(settings)
    if (header.cluster, header.topic) != (cluster, settings.kafka_topic):
        raise ArchiveError(
            f"the archive is of topic {header.topic!r} on Kafka cluster {header.cluster!r}, this is "
            f"{settings.kafka_topic!r} on {cluster!r}, where its positions mean nothing"
        )


def _check_fits_beside(state: State, header: Header) -> None:
    """Raise ArchiveError when a person decided for the archive what was not decided for the live generation."""
    if state.live is None:
        return
    for name, ranges in header.skipped.items():
        for start, end in ranges.items():
            if state.skipped.get(name, {}).get(int(start)) != end:
                raise ArchiveError(
                    f"the archive passes over {name} {start} to {end - 1} by command, which the live generation does "
                    "not; import it under another REDIS_PREFIX"
                )
    if header.cutoff > state.cutoff:
        raise ArchiveError(
            f"the archive has no jobs without news since {header.cutoff}, which the live generation has; import it "
            "under another REDIS_PREFIX"
        )


def _check_log(ranges: Mapping[str, LogRange], end: End) -> None:
    """Raise ArchiveError when the log does not go as far as the archive."""
    for name, position in end.positions.items():
        log_end = ranges[name].end if name in ranges else 0
        if position > log_end:
            raise ArchiveError(
                f"the log of {name} ends at {log_end} and the archive goes to {position}: the topic was re-created or "
                "cut since then"
            )


def _decisions(state: State, header: Header) -> dict[str, str]:
    """Return the fields of the catalog by which what was decided for the archive holds here too."""
    fields = {
        f"{SKIPPED}{name}/{start}": str(end) for name, ranges in header.skipped.items() for start, end in ranges.items()
    }
    if header.cutoff > state.cutoff:
        fields[CUTOFF] = header.cutoff
    return fields
