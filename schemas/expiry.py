"""Letting old jobs go: a job whose last news is before the catalog's cutoff is not shown and not kept.

A job's last news is the greatest time of any of its registers. So it is a function of the job as it is folded, and
whoever folds the same events lets the same jobs go.
"""

from collections.abc import Iterable
from typing import AnyStr

from schemas.job_status import LATEST_REGISTERS, STAGE_REGISTERS, StoredJob
from schemas.registers import DETAIL_TIME, STAGE_TIME, is_short


def has_news_since(cutoff: AnyStr, stages: Iterable[AnyStr | None], details: Iterable[AnyStr | None]) -> bool:
    """Tell whether a job with these registers had news at the cutoff, a sortable time, or later.

    The register of its last news stands among the details, for its time is at the same place.

    `projector/store/lua/collect.lua` applies the same rule to what is stored.
    """
    return any(register[STAGE_TIME] >= cutoff for register in stages if register) or any(
        register[DETAIL_TIME] >= cutoff for register in details if register
    )


def is_expired(job: StoredJob, cutoff: bytes) -> bool:
    """Tell whether the last news of a stored job is before the cutoff."""
    # A short one is as old as its stage.
    latest = [register for register in job[LATEST_REGISTERS] if register and not is_short(register)]
    return not has_news_since(cutoff, job[STAGE_REGISTERS], latest)
