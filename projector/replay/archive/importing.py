"""Import: an archive becomes a generation, which goes live at once where none is, and else waits for a rollback.

    nothing -> importing (removed by the next import when this one dies) -> live, or complete beside the live one

Case 1: the archive turns out not to be whole. What was written is removed, and nothing goes live.
Case 2: it dies. Its generation is in the catalog as importing: nobody reads it, and the next import removes it.
Case 3: a projector starts meanwhile. It waits for the lease to end; so it finds the imported generation, or none.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import replace

from projector.closing import to_the_end
from projector.errors import BucketMissingError, LeaseLostError, ProjectorError, StoreUnavailableError
from projector.log.consumer import LogRange, partition_ranges
from projector.log.topics import cluster_of, require_topics
from projector.operating.outcome import Outcome
from projector.operating.progress import Show
from projector.replay.archive.lines import ArchiveError, End, Header
from projector.replay.archive.stream import ArchiveReader
from projector.replay.generations.change import Change, changing, patiently
from projector.replay.generations.joining import join
from projector.replay.generations.making import begin_buckets, make, remove
from projector.replay.generations.size import require_room
from projector.settings import ProjectorSettings
from projector.store.calls import Script
from projector.store.catalog import State
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

_MEMORY_EVERY_BATCHES = 100


async def import_archive(
    settings: ProjectorSettings, redis: AnyRedis, reader: ArchiveReader, buckets: int | None, show: Show
) -> Outcome:
    """Make a generation of an archive; return what to say of it. Raises CommandError, ProjectorError or KafkaError."""
    header = await reader.header()
    await _check_is_ours(header, settings)
    async with changing(redis, settings.redis_prefix, "import") as change:
        state = await change.catalog.read()
        _check_fits_beside(state, header)
        # The number is chosen before a left-over one is free again: whoever left it may only be paused.
        number = state.next_number
        for kept in state.kept.values():
            # What was live once may still be read, and is left to `drop`.
            if kept.state in {IMPORTING, DROPPING} and not kept.retired:
                await remove(change, kept)
        wanted = Pointer(number, buckets or header.buckets, header.fold, header.cluster, header.topic, ())
        kept = await make(change, wanted, IMPORTING, header.starts)
        await begin_buckets(change, kept.pointer)
        try:
            await _fill(change, kept.pointer, reader, header, show, is_beside=state.live is not None)
            _check_log(await partition_ranges(settings), reader.end)
            await _set_positions(change, kept.pointer, header, reader.end)
            live = await _publish(change, kept, header)
        except BaseException:
            with contextlib.suppress(ProjectorError):  # what hinders it leaves it to the next import
                await to_the_end(remove(change, kept))
            raise
    facts = {"imported": number, "live": live or number, "jobs": reader.jobs}
    if live is None:
        return Outcome(f"generation {number} is live, with {reader.jobs} jobs: projectors go on from there", facts)
    return Outcome(
        f"generation {number} is kept, with {reader.jobs} jobs, and generation {live} stays live: "
        f"`python -m projector generations rollback {number}` switches",
        facts,
    )


async def _fill(
    change: Change, pointer: Pointer, reader: ArchiveReader, header: Header, show: Show, *, is_beside: bool
) -> None:
    """Write the jobs; beside a live generation only as long as that keeps room to grow."""
    generation = change.generation(pointer)
    name = f"generation {pointer.number}"
    batches = 0
    async for items in reader.batches():
        if is_beside and batches % _MEMORY_EVERY_BATCHES == 0:
            await require_room(change.redis)
        await join(change.redis, generation, items)
        batches += 1
        show({name: reader.jobs}, {name: max(header.jobs, reader.jobs)})


async def _set_positions(change: Change, pointer: Pointer, header: Header, end: End) -> None:
    """Let every bucket be gone on from the positions of the first line, and be read from those of the last on."""
    resume = Script(change.redis, "replay/resume")
    for bucket, incarnation in enumerate(pointer.incarnations):
        fields: dict[str, str] = {}
        for name, resumption in header.positions.items():
            fields |= resumption.as_fields(name, has_ledger=bucket == 0)
        base = bucket_prefix(change.prefix, pointer.number, bucket)
        flat = [item for pair in fields.items() for item in pair]
        if (await resume([base + META, base + POSITIONS], [incarnation, *flat]))[0] != b"set":
            raise BucketMissingError("Redis lost what was imported: run the command again")
    await change.generation(pointer).buckets.raise_floors(end.positions)


async def _publish(change: Change, kept: KeptGeneration, header: Header) -> int | None:
    """Make the generation live where none is, else keep it; return the one that stays live."""
    catalog, lease = change.catalog, change.lease
    state = await catalog.read()
    _check_fits_beside(state, header)
    if state.live:
        await catalog.keep(lease, replace(kept, state=COMPLETE))
        return state.live.number
    await catalog.change(lease, _decisions(state, header))
    try:
        await catalog.switch(lease, kept, None)
    except (StoreUnavailableError, LeaseLostError):
        # The outcome is unknown, and the pointer tells it.
        if (await patiently(catalog.read)()).live != kept.pointer:
            raise
    return None


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
