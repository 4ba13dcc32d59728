"""What the log has lost: its beginning, and with it events of jobs that were folded while it held them."""

from collections.abc import Mapping

from projector.fold.job import FoldedJob
from schemas.redis_layout import CARRIED
from schemas.registers import recorded_at

# Partition name -> the offset at which the log begins.
Starts = Mapping[str, int]


def lost_ranges(
    starts: Starts, skipped: Mapping[str, Mapping[int, int]], begins: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    """Return for each partition the offsets, from and up to, that are gone from the log though a fold had them.

    The fold began at `begins`, 0 where that names none, and what was passed over by command it never had.
    """
    lost: dict[str, tuple[int, int]] = {}
    for name, start in starts.items():
        reached = begins.get(name, 0)
        for begin, end in sorted(skipped.get(name, {}).items()):
            if begin <= reached:
                reached = max(reached, end)
        if reached < start:
            lost[name] = reached, start
    return lost


def has_lost_events(job: FoldedJob, starts: Starts) -> bool:
    """Tell whether events of a job were recorded before the place where the log begins."""
    recorded = map(recorded_at, job.stages.values())
    return CARRIED in job.details or any(offset < starts.get(partition, 0) for partition, offset in recorded)
