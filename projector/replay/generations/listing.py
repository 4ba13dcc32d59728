"""The list of generations: what each is, how large, and how far."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from projector.log.consumer import partition_ranges
from projector.replay.generations.choice import everyone
from projector.replay.generations.size import Size, sizes_of
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog
from projector.store.generation import Generation
from schemas.redis_layout import KeptGeneration
from service.redis import AnyRedis


@dataclass(frozen=True, slots=True)
class Listed:
    """A generation. `positions` by partition; `behind` counts events to the log's end; times are ISO 8601, UTC.

    `jobs` and `bytes` are estimates where Redis holds many keys, see `sizes_of`.
    """

    generation: int
    state: str
    jobs: int
    bytes: int
    buckets: int
    fold: int
    positions: dict[str, int]
    behind: int
    began: str
    retired: str | None


async def list_generations(settings: ProjectorSettings, redis: AnyRedis) -> list[Listed]:
    """Return every generation, oldest first. Raises ProjectorError or KafkaError."""
    state = await Catalog(redis, settings.redis_prefix).read()
    ends = {name: held.end for name, held in (await partition_ranges(settings)).items()}
    all_of_them = [kept for _, kept in sorted(everyone(state).items())]
    sizes = await sizes_of(redis, settings.redis_prefix, [kept.pointer for kept in all_of_them])
    return [await _listed(redis, settings.redis_prefix, kept, ends, sizes[kept.pointer.number]) for kept in all_of_them]


async def _listed(redis: AnyRedis, prefix: str, kept: KeptGeneration, ends: dict[str, int], size: Size) -> Listed:
    pointer = kept.pointer
    standings = await Generation(redis, prefix, pointer).standings(list(ends))
    positions = {name: min(one.next) for name, one in standings.items()}
    return Listed(
        pointer.number,
        kept.state,
        size.jobs,
        size.bytes,
        pointer.buckets,
        pointer.fold_version,
        positions,
        sum(max(0, end - positions[name]) for name, end in ends.items()),
        _iso(kept.began),
        _iso(kept.retired) if kept.retired else None,
    )


def as_table(listed: Sequence[Listed]) -> list[str]:
    """Return the lines of a table for people."""
    heads = ("GENERATION", "STATE", "JOBS", "SIZE", "BUCKETS", "FOLD", "BEHIND", "BEGAN", "RETIRED")
    rows = [
        (
            str(one.generation),
            one.state,
            str(one.jobs),
            f"{one.bytes / 2**20:.1f} MiB",
            str(one.buckets),
            str(one.fold),
            str(one.behind),
            one.began,
            one.retired or "-",
        )
        for one in listed
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (heads, *rows)]


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
