"""One call to a bucket: asked with `read.lua`, its reply understood, and refused when it must not be shown."""

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, Final

import structlog

from api.damage import Damage
from api.metrics import Metrics
from api.projection.errors import DamagedKeyError, UnavailableError
from api.projection.generation import Bucket
from api.projection.lookup import NO_ENTRY, Changed, Changes, FeedPlace, Lookup, Place, Portion, Row
from api.projection.readiness import Readiness
from api.projection.standing import Standing, freshness, standing
from api.projection.store import Script, Store
from schemas.job_hash import PIECE_BYTES
from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import CHANGES, HEARTBEATS, IDENTITY_FIELDS, JOB, META, POSITIONS, REFUSED, STORED_FIELDS

_SCRIPT: Final = Script((files("api.projection") / "lua" / "read.lua").read_text(encoding="utf-8"))
_KEYS: Final = (META, POSITIONS, HEARTBEATS, REFUSED, CHANGES)
_FIELDS: Final = len(STORED_FIELDS)
# The registers of stages take more than a piece (see `job_hash.py`).
_FIRST_STAGE_AT: Final = STORED_FIELDS.index(STAGE_NAMES[0])
_SECOND_PIECES: Final = slice(_FIELDS, _FIELDS + len(STAGE_NAMES))
_HEAD: Final[tuple[str | int, ...]] = (
    JOB,
    _FIELDS,
    *STORED_FIELDS,
    len(IDENTITY_FIELDS),
    " ".join(STAGE_NAMES),
)
# The most bytes of rows that an answer takes from all its buckets at once, but for a row of each.
READ_BYTES: Final = 256 * 1024
# What a reply has before the first lookup's answer.
_FEED_AT: Final = 4
_ANSWERS_AT: Final = 5
_CHANGES: Final = "#changes"
# What follows the reason in the answer about an entry that is not there.
_LOST: Final[Sequence[Any]] = ([], (), b"0-0", b"", 0, 1, 0)
# An entry of the feed as we write them; with others somebody has damaged it, and the projector begins it anew.
_ENTRY: Final = re.compile(rb"([0-9]{1,14})-([0-9]{1,9})")
_CHECK: Final = re.compile(rb"[0-9a-f]{8}")
# Where a bucket stood, when, and the last entry of its feed then.
_Moment = tuple[Standing, int, FeedPlace]
_log = structlog.get_logger(__name__)


class Buckets:
    """The buckets of all generations that this process meets, and what it has shown of each."""

    def __init__(self, store: Store, metrics: Metrics, max_staleness_seconds: float | None = None) -> None:
        self._store = store
        self._metrics = metrics
        self._readiness = Readiness(max_staleness_seconds)
        self._damage = Damage(metrics)

    async def look_up(
        self, bucket: Bucket, lookups: Sequence[Lookup | Changes], timeout_seconds: float
    ) -> list[Portion | Changed | DamagedKeyError]:
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
        moment = now, milliseconds, _place_in(reply[_FEED_AT])
        return [self._answer(bucket, lookup, answer, moment) for lookup, answer in answers]

    def _answer(
        self, bucket: Bucket, lookup: Lookup | Changes, answer: Sequence[Any], moment: _Moment
    ) -> Portion | Changed | DamagedKeyError:
        if isinstance(lookup, Lookup):
            return self._portion(bucket, lookup, answer, moment)
        told = _changed(answer, moment)
        # A job may be let go, or be taken out by a repair, between the entry that names it and now.
        stored = [row for row in _joined(told.rows) if any(row[:_FIELDS])]
        return told._replace(rows=self._damage.sound(bucket.base, lookup.indexes, stored))

    def _portion(
        self, bucket: Bucket, lookup: Lookup, answer: Sequence[Any], moment: _Moment
    ) -> Portion | DamagedKeyError:
        reason, (now, milliseconds, feed) = answer[0], moment
        if reason == b"damaged":
            self._damage.name_key(answer[1], "it is no index")
            return DamagedKeyError()
        found, looked_at = answer[1:3]
        rows = self._damage.sound(bucket.base, lookup.indexes, _joined(found))
        is_whole, passed_over = len(rows) == len(found), looked_at - len(found)
        if reason == b"all":
            return Portion(rows, None, True, now, milliseconds, is_whole, passed_over, feed)  # noqa: FBT003 - three times slower by name
        score, member, left = answer[3:]
        after = Place(int(score), member.decode()) if score else None
        return Portion(rows, after, False, now, milliseconds, is_whole, passed_over, feed, left)  # noqa: FBT003 - three times slower by name


def _argument(lookups: Iterable[Lookup | Changes]) -> str:
    return "\n".join([_line(it) if isinstance(it, Lookup) else _line_of_changes(it) for it in lookups])


def _line(lookup: Lookup) -> str:
    indexes, wanted, after, with_refused = lookup
    names, mark = "\t".join(indexes), "1" if with_refused else "0"
    if after is None:
        return f"{wanted}\t{mark}\t\t\t{names}"
    return f"{wanted}\t{mark}\t{after.score}\t{after.member}\t{names}"


def _line_of_changes(changes: Changes) -> str:
    after, names = changes.after, "\t".join((_CHANGES, *changes.indexes))
    return f"{changes.wanted}\t0\t{after.entry}\t{after.check} {changes.known}\t{names}"


def _joined(rows: list[Row]) -> list[Row]:
    """Return rows as they came, with the pieces of each register in its place."""
    for row in rows:
        for at, piece in enumerate(row[_SECOND_PIECES], _FIRST_STAGE_AT):
            if piece and len(first := row[at] or b"") == PIECE_BYTES:
                row[at] = first + piece
        del row[_SECOND_PIECES]
    return rows


def _changed(answer: Sequence[Any], moment: _Moment) -> Changed:
    rows, gone, entry, check, known, is_done, is_everything = answer[1:] or _LOST
    is_lost, reached = answer[0] == b"lost", _place_in((entry, check))
    return Changed(rows, tuple(gone), reached, known, bool(is_done), bool(is_everything), is_lost, *moment)


def _place_in(entry: Sequence[bytes]) -> FeedPlace:
    """Return the place of an entry, its id and its check; that of no entry where there is none, or it is damaged."""
    if not entry or not (found := _ENTRY.fullmatch(entry[0])) or not _CHECK.fullmatch(entry[1]):
        return NO_ENTRY
    return FeedPlace(int(found[1]), int(found[2]), entry[1].decode())


def _standing(reply: Sequence[Any]) -> Standing:
    try:
        return standing(reply)
    except (ValueError, TypeError) as error:
        _log.error("the projection's own fields are damaged", detail=str(error))
        raise UnavailableError("The store is damaged: the projector mends it") from error
