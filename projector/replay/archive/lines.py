"""The archive of a projection: JSON lines, of which the first says what it is of and the last whether it is whole.

| line | content |
|---|---|
| first | `Header`, with the positions before the first job was read: where to go on from |
| each | one job: its identity and its registers, as the hash in Redis holds them; a job may come twice |
| last | `End`, with the positions after the last job was read: nothing in the archive is younger |

A job is read while events are applied, so it may know more than the first positions say; whoever goes on from there
applies those events again, which changes nothing.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NoReturn

import orjson

from projector.fold.job import FoldedJob
from projector.fold.stored_job import job_of
from schemas.redis_layout import FINGERPRINT, LEDGER
from service.errors import CommandError

FORMAT: Final = "operator-status-projection"
VERSION: Final = 1


class ArchiveError(CommandError):
    """An archive is not whole, or is not what it should be."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"{fault}: nothing was imported")


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where a partition is gone on from: the next offset, the fingerprint of the record before it, and the ledger."""

    next: int
    fingerprint: str
    ledger: tuple[int, ...]

    def as_fields(self, name: str, *, has_ledger: bool) -> dict[str, str]:
        """Return the fields of the hash `positions`; one bucket alone has the ledger, so that the sum is right."""
        fields = {name: str(self.next)}
        if self.fingerprint:
            fields[name + FINGERPRINT] = self.fingerprint
        if has_ledger:
            fields |= {name + suffix: str(count) for suffix, count in zip(LEDGER, self.ledger, strict=True) if count}
        return fields


@dataclass(frozen=True, slots=True)
class Header:
    """What an archive is of.

    `jobs` is how many there were when it was begun, to show progress by. The others are as in the catalog and in
    KeptGeneration; `time` is ISO 8601, UTC.
    """

    fold: int
    cluster: str
    topic: str
    generation: int
    buckets: int
    cutoff: str
    starts: Mapping[str, int]
    skipped: Mapping[str, Mapping[str, int]]
    time: str
    jobs: int
    positions: Mapping[str, Resumption]

    def as_line(self) -> bytes:
        """Return the archive's first line."""
        return line_of({"format": FORMAT, "version": VERSION, **asdict(self)})


@dataclass(frozen=True, slots=True)
class End:
    """The last line: the positions after the last job, how many jobs, and the SHA-256 of all bytes before it."""

    positions: Mapping[str, int]
    jobs: int
    sha256: str

    def as_line(self) -> bytes:
        """Return the archive's last line."""
        return line_of(asdict(self))


def line_of(content: Mapping[str, Any]) -> bytes:
    """Return one line of an archive."""
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def header_of(line: bytes) -> Header:
    """Return what the first line says; ArchiveError when it is not an archive's, or of another version."""
    try:
        content = _object(line)
        version = content.pop("version", None) if content.pop("format", None) == FORMAT else None
        if version == VERSION:
            positions = {name: _resumption(one) for name, one in content.pop("positions").items()}
            header = Header(positions=positions, **content)
            _check(header)
            return header
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ArchiveError("line 1 is not the first line of an archive of a projection") from error
    if version is None:
        raise ArchiveError("line 1 is not the first line of an archive of a projection")
    raise ArchiveError(f"the archive is of format version {version}, this release reads version {VERSION}")


def _check(header: Header) -> None:
    """Raise ValueError when a value is none that the catalog could hold."""
    skipped = [int(number) for ranges in header.skipped.values() for pair in ranges.items() for number in pair]
    counts = [header.fold, header.generation, header.buckets, header.jobs, *header.starts.values(), *skipped]
    texts = [header.cluster, header.topic, header.cutoff, header.time]
    if not _are_counts(counts) or not header.buckets or not all(isinstance(text, str) for text in texts):
        _refuse("a value is of a wrong kind")


def content_of(line: bytes) -> FoldedJob | End:
    """Return what a line after the first holds; ValueError when it is neither a job nor the end."""
    content = _object(line)
    if "sha256" in content:
        try:
            end = End(**content)
            counts = [end.jobs, *end.positions.values()]
        except (TypeError, AttributeError):
            raise ValueError("not the end of an archive") from None
        return end if _are_counts(counts) else _refuse("not the end of an archive")
    return job_of(content)


def _resumption(content: Mapping[str, Any]) -> Resumption:
    resumption = Resumption(content["next"], content["fingerprint"], tuple(content["ledger"]))
    if len(resumption.ledger) != len(LEDGER) or not _are_counts([resumption.next, *resumption.ledger]):
        _refuse("a position is not as stored")
    return resumption


def _are_counts(values: list[Any]) -> bool:
    return all(type(value) is int and value >= 0 for value in values)


def _object(line: bytes) -> dict[str, Any]:
    content = orjson.loads(line)
    return content if isinstance(content, dict) else _refuse("no object")


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)
