"""One call to a bucket: asked with `read.lua`, its reply understood, and refused when it must not be shown."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, Final

import structlog

from api.damage import Damage
from api.metrics import Metrics
from api.projection.errors import DamagedKeyError, UnavailableError
from api.projection.generation import Bucket
from api.projection.lookup import Lookup, Place, Portion
from api.projection.readiness import Readiness
from api.projection.standing import Standing, freshness, standing
from api.projection.store import Script, Store
from schemas.redis_layout import HEARTBEATS, JOB, META, POSITIONS, REFUSED, STORED_FIELDS

_SCRIPT: Final = Script((files("api.projection") / "read.lua").read_text(encoding="utf-8"))
_KEYS: Final = (META, POSITIONS, HEARTBEATS, REFUSED)
_HEAD: Final[tuple[str | int, ...]] = (JOB, len(STORED_FIELDS), *STORED_FIELDS)
# The most bytes of rows that an answer takes from all its buckets at once, but for a row of each.
READ_BYTES: Final = 256 * 1024
# What a reply has before the first lookup's answer.
_ANSWERS_AT: Final = 4
_log = structlog.get_logger(__name__)


class Buckets:
    """The buckets of all generations that this process meets, and what it has shown of each."""

    def __init__(self, store: Store, metrics: Metrics, max_staleness_seconds: float | None = None) -> None:
        self._store = store
        self._metrics = metrics
        self._readiness = Readiness(max_staleness_seconds)
        self._damage = Damage(metrics)

    async def look_up(
        self, bucket: Bucket, lookups: Sequence[Lookup], timeout_seconds: float
    ) -> list[Portion | DamagedKeyError]:
        """Return the answer to each lookup; UnavailableError when there is no right one now."""
        watermark = self._readiness.watermark(bucket)
        keys = [bucket.base + name for name in _KEYS]
        argv: list[str | int] = [bucket.base, *_HEAD, READ_BYTES // bucket.buckets, _argument(lookups)]
        reply = await self._store.run(_SCRIPT, keys, argv, timeout_seconds)
        self._metrics.round_trip(len(lookups))
        now, milliseconds = _standing(reply), int(reply[0])
        try:
            self._readiness.check(bucket, now, watermark)
            self._readiness.check_confirmed(now, milliseconds)
        except UnavailableError as error:
            error.generation, error.freshness = bucket.generation, freshness([now], milliseconds)
            raise
        answers = zip(lookups, reply[_ANSWERS_AT:], strict=True)
        return [self._portion(bucket, lookup, answer, now, milliseconds) for lookup, answer in answers]

    def _portion(
        self, bucket: Bucket, lookup: Lookup, answer: Sequence[Any], now: Standing, milliseconds: int
    ) -> Portion | DamagedKeyError:
        reason = answer[0]
        if reason == b"damaged":
            self._damage.name_key(answer[1], "it is no index")
            return DamagedKeyError()
        found, looked_at = answer[1:3]
        rows = self._damage.sound(bucket.base, lookup.indexes, found)
        is_whole, passed_over = len(rows) == len(found), looked_at - len(found)
        if reason == b"all":
            return Portion(rows, None, True, now, milliseconds, is_whole, passed_over)  # noqa: FBT003 - three times slower by name
        score, member = answer[3:]
        after = Place(int(score), member.decode()) if score else None
        return Portion(rows, after, False, now, milliseconds, is_whole, passed_over)  # noqa: FBT003 - three times slower by name


def _argument(lookups: Iterable[Lookup]) -> str:
    return "\n".join([_line(lookup) for lookup in lookups])


def _line(lookup: Lookup) -> str:
    indexes, wanted, after, with_refused = lookup
    names, mark = "\t".join(indexes), "1" if with_refused else "0"
    if after is None:
        return f"{wanted}\t{mark}\t\t\t{names}"
    return f"{wanted}\t{mark}\t{after.score}\t{after.member}\t{names}"


def _standing(reply: Sequence[Any]) -> Standing:
    try:
        return standing(reply)
    except (ValueError, TypeError) as error:
        _log.error("the projection's own fields are damaged", detail=str(error))
        raise UnavailableError("The store is damaged: the projector mends it") from error
