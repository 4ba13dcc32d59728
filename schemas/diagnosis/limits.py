"""How long a job, each of its stages and its worker's silence may last before that is told: `STAGE_LIMITS`."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from schemas.lifecycle import FINISHED, STAGE_NAMES, STAGES

DEFAULT_LIMITS: Final = ",".join(
    [*(f"{stage.name}={stage.limit}" for stage in STAGES if stage != FINISHED), "silent=15m", "job=48h"]
)
LIMITS_MEANING: Final = "How long stages, silence and a job may last before that is told; what is not named stays."
MAX_LIMIT: Final = timedelta(days=3650)

SILENT: Final = "silent"
JOB: Final = "job"
_NAMES: Final = (*(name for name in STAGE_NAMES if name != FINISHED.name), SILENT, JOB)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LIMIT: Final = re.compile(r"([a-z]+)=([0-9]{1,9})([smhd])")


class Limits(NamedTuple):
    """The limits of each stage that does not end a job, of silence, and of all of a job."""

    stages: Mapping[str, timedelta]
    silent: timedelta
    job: timedelta


def limits_of(text: str) -> Limits:
    """Return the limits that a setting gives, the default where it names none; ValueError says what is wrong."""
    given = _parsed(DEFAULT_LIMITS) | _parsed(text)
    stages = {name: limit for name, limit in given.items() if name in STAGE_NAMES}
    return Limits(stages, given[SILENT], given[JOB])


def checked_limits(text: str) -> str:
    """Return the text of a setting that gives limits; ValueError when it does not."""
    limits_of(text)
    return text


def _parsed(text: str) -> dict[str, timedelta]:
    limits: dict[str, timedelta] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        found = _LIMIT.fullmatch(item)
        if found is None:
            raise ValueError(f"{item!r} is no limit such as running=24h; units are s, m, h and d")
        name, number, unit = found.groups()
        if name not in _NAMES:
            raise ValueError(f"{name!r} has no limit: one of {', '.join(_NAMES)}")
        if name in limits:
            raise ValueError(f"{name} is given twice")
        limits[name] = _limit(name, int(number), unit)
    return limits


def _limit(name: str, number: int, unit: str) -> timedelta:
    if not number:
        raise ValueError(f"{name}: a limit is longer than nothing")
    try:
        limit = timedelta(**{_UNITS[unit]: number})
    except OverflowError:
        limit = timedelta.max
    if limit > MAX_LIMIT:
        raise ValueError(f"{name}: at most {MAX_LIMIT.days} days")
    return limit
