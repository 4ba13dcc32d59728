r"""Header names that are no UTF-8: Kafka takes them, and aiokafka cannot read a record that has one.

Such a record may be a good event. So it is read once more, by aiokafka's slower reader, in which every byte of a name
that is no text stands as `\xff`.
"""

from typing import Any, SupportsIndex

from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint_py


class _Text(bytearray):
    """Bytes whose parts can always be decoded."""

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        part = super().__getitem__(key)
        return _Text(part) if isinstance(part, bytearray) else part

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: bytearray = _Text(self._buffer)

    def _read_msg(self, decode_varint: Any = decode_varint_py) -> Any:
        return super()._read_msg(decode_varint)


class RecordsOfAnyName(_MemoryRecordsPy):  # type: ignore[misc]
    """aiokafka's slower reader, made to read every name."""

    def next_batch(self, *limits: int) -> Any:
        """Return the next batch."""
        written = self._next_slice
        batch = super().next_batch(*limits)
        return _Batch(written) if isinstance(batch, DefaultRecordBatch) else batch
