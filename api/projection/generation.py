"""The generation that is read, and its buckets."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from api.projection.errors import NotReadyError, UnavailableError
from schemas.identity import bucket_of
from schemas.redis_layout import CUTOFF, FOLD_VERSION, Pointer, bucket_prefix

_CUTOFF: Final = CUTOFF.encode()


class Bucket(NamedTuple):
    """A bucket as the pointer names it, one of so many `buckets`; `base` is what each of its keys starts with."""

    generation: int
    number: int
    base: str
    incarnation: str
    buckets: int = 1


class Generation(NamedTuple):
    """The live generation; jobs without news since the cutoff, a sortable time, are not shown. Empty: all are."""

    number: int
    buckets: tuple[Bucket, ...]
    cutoff: bytes = b""

    def asked(self, digest: str | None) -> tuple[Bucket, ...]:
        """Return the buckets that can hold an answer: one when the digest of the job is known, else all."""
        return self.buckets if digest is None else (self.buckets[bucket_of(digest, len(self.buckets))],)


def generation(prefix: str, fields: Mapping[bytes, bytes]) -> Generation:
    """Return the generation that the pointer's fields name; UnavailableError when there is none that can be read."""
    if b"live" not in fields:
        raise NotReadyError("There is no projection yet: start the projector")
    try:
        pointer = Pointer.from_fields(fields)
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
    return Generation(pointer.number, buckets, fields.get(_CUTOFF, b""))
