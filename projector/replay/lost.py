"""What the log has lost: its beginning, and with it events of jobs that were folded while it held them."""

from collections.abc import Mapping

from projector.fold.job import FoldedJob
from schemas.redis_layout import CARRIED, NEWS
from schemas.registers import SEPARATOR, recorded_at

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
    """Tell whether events of a job may have been recorded before the place where the log begins.

    A stage tells its record. A detail does not: unless it is of a report that a stage tells too, it may be lost. Nor
    does the last news, which never is of one that a stage tells.
    """
    recorded = [recorded_at(register) for register in job.stages.values()]
    if CARRIED in job.details or any(offset < starts.get(partition, 0) for partition, offset in recorded):
        return True
    told = {report_of_stage(register) for register in job.stages.values()}
    details = (register for name, register in job.details.items() if name not in (CARRIED, NEWS))
    has_lost = any(starts.get(partition, 0) for partition, _ in recorded)
    return has_lost and (NEWS in job.details or any(report_of_detail(register) not in told for register in details))


def report_of_stage(register: str) -> tuple[str, str]:
    """Return time and id of the event that a stage's register is of."""
    time, _, event_id, _ = register.split(SEPARATOR)
    return time, event_id


def report_of_detail(register: str) -> tuple[str, str]:
    """Return time and id of the event that a detail's register is of."""
    _, time, event_id, _ = register.split(SEPARATOR, 3)
    return time, event_id
