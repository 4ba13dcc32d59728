"""Whether what is shown is stale: nobody confirms it, a part of it is held, or it cannot be read.

A call to Redis may fail without anybody needing to know; so what cannot be read is stale only after a moment.
"""

from typing import Final, NamedTuple

from api.projection.standing import Freshness
from schemas.redis_layout import HOLD_CODES

# How long nothing can be read before that is told.
UNREADABLE_SECONDS: Final = 1.0


class Health(NamedTuple):
    """Whether it is stale, how many events are missing, and since when nobody has confirmed it, in Unix seconds.

    None where unknown. `failed_at` is when it could not be read for the first time, by the loop's clock; None when it
    can.
    """

    is_stale: bool
    lag: int | None = None
    since: int | None = None
    failed_at: float | None = None

    def failed(self, now: float) -> "Health":
        """Return it after it could not be read at that time."""
        failed_at = now if self.failed_at is None else self.failed_at
        is_stale = self.is_stale or now - failed_at >= UNREADABLE_SECONDS
        return Health(is_stale, None, self.since, failed_at)


HEALTHY: Final = Health(is_stale=False)
_HOLD_CODES: Final = frozenset(HOLD_CODES)


def health_of(fresh: Freshness) -> Health:
    """Return what freshness means: unknown, or a part that does not go on by itself, is stale."""
    is_stale = fresh.lag is None or not _HOLD_CODES.isdisjoint(fresh.held)
    return Health(is_stale, fresh.lag, fresh.heartbeat)
