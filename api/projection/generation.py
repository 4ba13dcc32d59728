"""The generation that is read, and its buckets."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from api.projection.errors import NotReadyError, UnavailableError
from schemas.identity import bucket_of
from schemas.redis_layout import (
    BEGAN,
    CUTOFF,
    CUTOFF_RAISED,
    FOLD_VERSION,
    KEPT_FOR,
    SWITCHED,
    Pointer,
    bucket_prefix,
    number_in,
)

# Longer than there are years to count.
LONGEST_KEPT_SECONDS: Final = 10**12
_BEGAN: Final = BEGAN.encode()
_CUTOFF: Final = CUTOFF.encode()
_CUTOFF_RAISED: Final = CUTOFF_RAISED.encode()
_KEPT_FOR: Final = KEPT_FOR.encode()
_SWITCHED: Final = SWITCHED.encode()


class Bucket(NamedTuple):
    """A bucket as the pointer names it, one of so many `buckets`; `base` is what each of its keys starts with."""

    generation: int
    number: int
    base: str
    incarnation: str
    buckets: int = 1


class Generation(NamedTuple):
    """The live generation; jobs without news since the cutoff, a sortable time, are not shown. Empty: all are.

    `switched` is the epoch in which it became live, `began` when it was begun, in milliseconds of Redis' clock, as is
    `cutoff_raised`, 0 when that is not known. Jobs are kept without news for `kept_for_seconds`, if that goes on.
    """

    number: int
    buckets: tuple[Bucket, ...]
    cutoff: bytes = b""
    switched: int = 0
    began: int = 0
    cutoff_raised: int = 0
    kept_for_seconds: int | None = None

    def asked(self, digest: str | None) -> tuple[Bucket, ...]:
        """Return the buckets that can hold an answer: one when the digest of the job is known, else all."""
        return self.buckets if digest is None else (self.buckets[bucket_of(digest, len(self.buckets))],)


def generation(prefix: str, fields: Mapping[bytes, bytes]) -> Generation:
    """Return the generation that the pointer's fields name; UnavailableError when there is none that can be read."""
    if b"live" not in fields:
        raise NotReadyError("There is no projection yet: start the projector")
    try:
        pointer = Pointer.from_fields(fields)
        switched, began, raised = (number_in(fields.get(name, b"0")) for name in (_SWITCHED, _BEGAN, _CUTOFF_RAISED))
        kept_for = min(number_in(fields[_KEPT_FOR]), LONGEST_KEPT_SECONDS) if _KEPT_FOR in fields else None
    except (KeyError, ValueError):
        raise UnavailableError("The pointer to the live generation is damaged") from None
    if pointer.fold_version != FOLD_VERSION:
        raise UnavailableError(
            f"The projection is of fold version {pointer.fold_version}, this API reads version {FOLD_VERSION}: "
            "upgrade the older of the two"
        )
    buckets = tuple(
        Bucket(pointer.number, number, bucket_prefix(prefix, pointer.number, number), incarnation, pointer.buckets)
        for number, incarnation in enumerate(pointer.incarnations)
    )
    return Generation(pointer.number, buckets, fields.get(_CUTOFF, b""), switched, began, raised, kept_for)


class Latest:
    """The latest switch that this process knows of: what came before it is not shown again.

    A replica that is promoted may not have seen the last switch, and then has the generation before it as the live one.
    A rollback is a switch too, so it is later; and a projection that was begun anew, in a Redis that was emptied, knows
    of no switch, but was begun after everything that was shown.
    """

    def __init__(self) -> None:
        self._switched = self._began = 0

    def check(self, generation: Generation) -> None:
        """Raise NotReadyError when the generation is an older one than was seen; remember it."""
        if generation.switched < self._switched and generation.began <= self._began:
            raise NotReadyError("The store went back to an older generation than it had already shown")
        self._switched = generation.switched
        self._began = max(self._began, generation.began)
