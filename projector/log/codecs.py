"""Expanding compressed batches within a limit.

aiokafka has none: a batch of 1 MB can become 1 GB in memory. Our codecs take their place in its readers. All batches
that are being read share the limit, each by its owner: one that finds no room beside the others waits until they have
been read, and one that does not fit alone is a corrupt one, so that its partition is held and named.
"""

import sys
from collections.abc import Callable, Collection, Hashable
from mmap import mmap
from typing import Final

import cramjam
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder, _DefaultRecordBatchPy
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from service.errors import ServiceUnavailableError

# For all batches that are being read, and so for each of them too. Producers send batches of at most a few MB.
MAX_EXPANDED_BYTES: Final = 64 * 1024 * 1024
CODECS: Final = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}  # by their numbers in the Kafka protocol

_BATCH_VERSION: Final = 2
_SAMPLE: Final = b"an event "
_SAMPLE_RECORDS: Final = 10
# Snappy as Java's library frames it: this, two version numbers, then blocks with their length in front.
_XERIAL_MAGIC: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES: Final = 16
_XERIAL_LENGTH_BYTES: Final = 4

# Writes what the first expands to into the second; returns how many bytes, or raises when there is no room.
Expand = Callable[[bytes, memoryview], int]


class NoRoomError(Exception):
    """A batch does not fit beside those that are being read; it does once these have been."""


class Expansion:
    """The codecs of this process's Kafka clients, and what each owner has expanded and not let go yet.

    One buffer serves all batches; its pages are in memory only as far as the largest one reached.
    """

    def __init__(self, limit_bytes: int = MAX_EXPANDED_BYTES) -> None:
        self._buffer = mmap(-1, limit_bytes)  # a bytearray would be in memory as a whole
        self._limit_bytes = limit_bytes
        self._held: dict[Hashable, int] = {}
        self._owner: Hashable = None
        # Who found no room: until it has, nobody else expands anything, or small ones would keep it out for ever.
        self._first: Hashable = None
        self._replaced: list[tuple[object, str, object]] = []

    def begin(self, owner: Hashable = None) -> None:
        """Count what is expanded from now on as this owner's, each batch in place of the one before."""
        self._owner = owner

    def let_go(self, owner: Hashable) -> None:
        """Give back what an owner has expanded."""
        self._held.pop(owner, None)

    def keep_only(self, owners: Collection[Hashable]) -> None:
        """Give back what everybody else has expanded, or waits to expand."""
        for owner in self._held.keys() - set(owners):
            del self._held[owner]
        if self._first not in owners:
            self._first = None

    @property
    def expanded_bytes(self) -> int:
        """How much is expanded now."""
        return sum(self._held.values())

    def install(self) -> None:
        """Take the place of aiokafka's codecs; `require_codecs` tells whether that worked."""
        for reader in (DefaultRecordBatch, LegacyRecordBatch, _DefaultRecordBatchPy):
            module = sys.modules[reader.__module__]
            for codec, expand in _EXPAND.items():
                name = f"{codec}_decode"
                self._replaced.append((module, name, getattr(module, name, None)))
                setattr(module, name, self._decoder(codec, expand))

    def remove(self) -> None:
        """Give aiokafka its codecs back; harmless when they are there."""
        while self._replaced:
            setattr(*self._replaced.pop())

    def _decoder(self, codec: str, expand: Expand) -> Callable[[bytes], bytes]:
        def decode(payload: bytes) -> bytes:
            left = self._room()
            with memoryview(self._buffer) as room:
                try:
                    size = expand(bytes(payload), room[:left])
                except cramjam.DecompressionError as error:
                    if left < self._limit_bytes:
                        self._first = self._owner
                        raise NoRoomError from None
                    raise CorruptRecordException(
                        f"a {codec} batch cannot be expanded within {left} bytes: {error}"
                    ) from None
                self._held[self._owner] = size
                return bytes(room[:size])

        return decode

    def _room(self) -> int:
        """Return how much the owner may expand now."""
        self._held.pop(self._owner, None)
        if self._first not in (None, self._owner):
            raise NoRoomError
        self._first = None
        return self._limit_bytes - self.expanded_bytes


def _expand_snappy(payload: bytes, room: memoryview) -> int:
    if not payload.startswith(_XERIAL_MAGIC):
        return cramjam.snappy.decompress_raw_into(payload, room)
    at, size = _XERIAL_HEADER_BYTES, 0
    while at < len(payload):
        block = at + _XERIAL_LENGTH_BYTES
        at = block + int.from_bytes(payload[at:block])
        size += cramjam.snappy.decompress_raw_into(payload[block:at], room[size:])
    return size


_EXPAND: Final[dict[str, Expand]] = {
    "gzip": cramjam.gzip.decompress_into,
    "snappy": _expand_snappy,
    "lz4": cramjam.lz4.decompress_into,
    "zstd": cramjam.zstd.decompress_into,
}


def require_codecs(expansion: Expansion) -> None:
    """Return when a batch of every codec can be read, and within the limit; else ServiceUnavailableError."""
    for codec in CODECS:
        expansion.let_go(None)
        try:
            values = _read(_sample(codec))
        except Exception as error:  # a codec or a parser raises what it likes
            raise ServiceUnavailableError(_UNREADABLE.format(codec=codec, error=error)) from error
        if values != [_SAMPLE] * _SAMPLE_RECORDS or not expansion.expanded_bytes:
            raise ServiceUnavailableError(_UNREADABLE.format(codec=codec, error="aiokafka is not the expected one"))
    expansion.let_go(None)


_UNREADABLE: Final = "batches compressed with {codec} cannot be read ({error}): install what requirements-run.lock says"


def _sample(codec: str) -> bytes:
    builder = DefaultRecordBatchBuilder(_BATCH_VERSION, CODECS[codec], 0, -1, -1, -1, 1024)
    for number in range(_SAMPLE_RECORDS):
        builder.append(number, None, None, _SAMPLE, [])
    return bytes(builder.build())


def _read(batches: bytes) -> list[bytes]:
    records = MemoryRecords(batches)
    values = []
    while records.has_next():
        values += [record.value for record in records.next_batch()]
    return values
