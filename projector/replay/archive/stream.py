"""Archives as streams: written and read line by line, so that neither side holds more than a few of them."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from io import BufferedReader, FileIO
from pathlib import Path
from typing import IO, Final, Protocol, cast

import zstandard

from projector.fold.job import FoldedJob
from projector.replay.archive.lines import ArchiveError, End, Header, content_of, header_of, line_of
from projector.replay.archive.waiting import PipeSink, interruptible, read_beside
from schemas.redis_layout import REFUSED
from schemas.refused_event import RefusedEvent
from service.errors import CommandError

STANDARD: Final = "-"
# Far more than the registers of a job can hold, each of which came in one event.
MAX_LINE_BYTES: Final = 16 * 1024 * 1024
# What is joined in one step: a few milliseconds of Redis' time.
MAX_BATCH_JOBS: Final = 100
MAX_BATCH_BYTES: Final = 1024 * 1024

_CHUNK_BYTES: Final = 256 * 1024
_ZSTD_MAGIC: Final = zstandard.FRAME_HEADER
_PARTIAL: Final = ".part"


class Readable(Protocol):
    """What an archive is read from, as much as there is; empty bytes are its end."""

    def read1(self, size: int, /) -> bytes:
        """Return at most so many bytes."""


class Writable(Protocol):
    """What an archive is written to."""

    def write(self, content: bytes, /) -> object:
        """Write all of it."""


class ArchiveWriter:
    """Writes an archive, and says on its last line what it wrote."""

    def __init__(self, sink: Writable) -> None:
        self._sink = sink
        self._hash = sha256()
        self.jobs = 0

    def begin(self, header: Header) -> None:
        """Write the first line."""
        self._write(header.as_line())

    def add(self, jobs: Iterable[bytes]) -> None:
        """Write a line for each job."""
        lines = list(jobs)
        self._write(b"".join(lines))
        self.jobs += len(lines)

    def add_refused(self, events: Iterable[RefusedEvent]) -> None:
        """Write a line for each refused event."""
        self._write(b"".join(line_of({REFUSED: event.entry}) for event in events))

    def end(self, positions: Mapping[str, int]) -> None:
        """Write the last line, without which nobody takes the archive for a whole one."""
        self._write(End(positions=dict(positions), jobs=self.jobs, sha256=self._hash.hexdigest()).as_line())

    def _write(self, content: bytes) -> None:
        self._hash.update(content)
        self._sink.write(content)


class ArchiveReader:
    """Reads an archive, and refuses with the number of the line what is not one, or not a whole one."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._lines = self._read()
        self._hash = sha256()
        self._number = 0
        self._end: End | None = None
        self.jobs = 0

    @property
    def end(self) -> End:
        """The last line, once all jobs were read."""
        if self._end is None:
            raise ArchiveError(f"the archive ends after line {self._number}, without its last line")
        return self._end

    async def header(self) -> Header:
        """Return what the first line says. Raises ArchiveError."""
        line = await anext(self._lines, None)
        if line is None:
            raise ArchiveError("the archive ends before its first line")
        self._hash.update(line + b"\n")
        return header_of(line)

    async def batches(self) -> AsyncIterator[list[FoldedJob | RefusedEvent]]:
        """Yield jobs and refused events, some at a time; the last of them once the archive is known to be whole.

        Raises ArchiveError.
        """
        batch: list[FoldedJob | RefusedEvent] = []
        size = 0
        async for line in self._lines:
            content = self._content(line)
            if isinstance(content, End):
                await self._finish(content)
                break
            self._hash.update(line + b"\n")
            self.jobs += isinstance(content, FoldedJob)
            batch.append(content)
            size += len(line)
            if len(batch) >= MAX_BATCH_JOBS or size >= MAX_BATCH_BYTES:
                yield batch
                batch, size = [], 0
        self._end = self.end  # raises when there was none
        if batch:
            yield batch

    def _content(self, line: bytes) -> FoldedJob | RefusedEvent | End:
        try:
            return content_of(line)
        except ValueError as error:
            raise ArchiveError(f"line {self._number} of the archive is no job ({error})") from error

    async def _finish(self, end: End) -> None:
        number = self._number
        if self._hash.hexdigest() != end.sha256:
            raise ArchiveError(f"the archive is damaged: its bytes are not those that line {number} has the SHA-256 of")
        if self.jobs != end.jobs:
            raise ArchiveError(f"the archive has {self.jobs} jobs, and line {number} says {end.jobs}")
        if await anext(self._lines, None) is not None:
            raise ArchiveError(f"line {self._number} of the archive comes after its last line")
        self._end = end

    async def _read(self) -> AsyncIterator[bytes]:
        rest = b""
        # A source that is slow must not keep us from renewing the lease.
        while chunk := await read_beside(self._chunk):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._number += 1
                yield line
            if len(rest) > MAX_LINE_BYTES:
                raise ArchiveError(f"line {self._number + 1} has more than {MAX_LINE_BYTES} bytes")
        if rest:
            raise ArchiveError(f"the archive ends within line {self._number + 1}")

    def _chunk(self) -> bytes:
        try:
            return self._source.read1(_CHUNK_BYTES)
        except zstandard.ZstdError as error:
            raise ArchiveError(f"the archive cannot be decompressed after line {self._number} ({error})") from error
        except OSError as error:
            raise CommandError(f"the archive cannot be read: {error}") from error


@contextmanager
def archive_source(file: str) -> Iterator[Readable]:
    """Yield what an archive is read from, decompressed when it is compressed; "-" is standard input."""
    with _opened(file) as source:
        with interruptible():
            start = source.peek(len(_ZSTD_MAGIC))[: len(_ZSTD_MAGIC)]
        if start and _ZSTD_MAGIC.startswith(start):
            yield zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True, closefd=False)
        else:
            yield source


@contextmanager
def archive_sink(output: str, *, is_compressed: bool) -> Iterator[Writable]:
    """Yield what an archive is written to; "-" is standard output.

    A file gets its name when it is whole, so that a failed export leaves the one before it.
    """
    with _standard_output() if output == STANDARD else _file(Path(output)) as sink:
        if not is_compressed:
            yield sink
            return
        target = cast("IO[bytes]", sink)
        with zstandard.ZstdCompressor(write_checksum=True).stream_writer(target, closefd=False) as compressor:
            yield compressor


@contextmanager
def _opened(file: str) -> Iterator[BufferedReader]:
    try:
        with interruptible():  # a named pipe is open once somebody writes into it
            source = FileIO(sys.stdin.fileno(), closefd=False) if file == STANDARD else FileIO(file)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}") from error
    with source:  # not the buffered reader, whose end waits for a thread that reads
        yield BufferedReader(source)


@contextmanager
def _standard_output() -> Iterator[Writable]:
    sys.stdout.flush()
    with FileIO(sys.stdout.fileno(), "wb", closefd=False) as output:
        yield PipeSink(output)


@contextmanager
def _file(path: Path) -> Iterator[Writable]:
    try:
        with _replaced(path.resolve()) if path.is_file() or not path.exists() else _kept(path) as sink:
            yield sink
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _kept(path: Path) -> Iterator[Writable]:
    """Yield a device or a pipe, which must not be replaced by a file."""
    with interruptible():
        device = FileIO(str(path), "wb")
    with device:
        yield PipeSink(device)


@contextmanager
def _replaced(path: Path) -> Iterator[Writable]:
    partial = path.with_name(path.name + _PARTIAL)
    try:
        with partial.open("wb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
