"""The archive of a projection: JSON lines, of which the first says what it is of and the last whether it is whole.

| line | content |
|---|---|
| first | `Header`, with the positions before the first job was read: where to go on from |
| each | one job: its identity and its registers, as the hash in Redis holds them; a job may come twice |
| each after these | `{"refused": entry}`: a refused event that names a job, as it is remembered |
| last | `End`, with the positions after the last job was read: nothing in the archive is younger |

A job is read while events are applied, so it may know more than the first positions say; whoever goes on from there
applies those events again, which changes nothing.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, Field, ValidationError

from projector.fold.job import FoldedJob
from projector.fold.stored_job import job_of
from schemas.redis_layout import FINGERPRINT, LEDGER, REFUSED
from schemas.refused_event import RefusedEvent
from service.errors import CommandError

FORMAT: Final = "operator-status-projection"
VERSION: Final = 1

Count = Annotated[int, Field(ge=0)]
# A number as the key of a JSON object.
Digits = Annotated[str, Field(pattern=r"^[0-9]+$")]


class ArchiveError(CommandError):
    """An archive is not whole, or is not what it should be."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"{fault}: nothing was imported")


class _Line(BaseModel, frozen=True, strict=True, extra="forbid"):
    def as_line(self) -> bytes:
        """Return it as a line of an archive."""
        return line_of(self.model_dump())


class Resumption(BaseModel, frozen=True, strict=True):
    """Where a partition is gone on from: the next offset, the fingerprint of the record before it, and the ledger."""

    next: Count
    fingerprint: str
    ledger: Annotated[list[Count], Field(min_length=len(LEDGER), max_length=len(LEDGER))]

    def as_fields(self, name: str, *, has_ledger: bool) -> dict[str, str]:
        """Return the fields of the hash `positions`; one bucket alone has the ledger, so that the sum is right."""
        fields = {name: str(self.next)}
        if self.fingerprint:
            fields[name + FINGERPRINT] = self.fingerprint
        if has_ledger:
            fields |= {name + suffix: str(count) for suffix, count in zip(LEDGER, self.ledger, strict=True) if count}
        return fields


class Header(_Line):
    """The first line: what an archive is of.

    `jobs` is how many there were when it was begun, to show progress by. The others are as in the catalog and in
    KeptGeneration; `time` is ISO 8601, UTC.
    """

    format: Literal["operator-status-projection"]
    version: Literal[1]
    fold: Count
    cluster: str
    topic: str
    generation: Count
    buckets: Annotated[int, Field(ge=1)]
    cutoff: str
    starts: dict[str, Count]
    skipped: dict[str, dict[Digits, Count]]
    time: str
    jobs: Count
    positions: dict[str, Resumption]


class End(_Line):
    """The last line: the positions after the last job, how many jobs, and the SHA-256 of all bytes before it."""

    positions: dict[str, Count]
    jobs: Count
    sha256: str


def line_of(content: Mapping[str, Any]) -> bytes:
    """Return one line of an archive."""
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def header_of(line: bytes) -> Header:
    """Return what the first line says; ArchiveError when it is not an archive's, or of another version."""
    try:
        content = _object(line)
        version = content.get("version", VERSION)
        if content.get("format") == FORMAT and version != VERSION:
            raise ArchiveError(f"the archive is of format version {version}, this release reads version {VERSION}")
        return Header.model_validate(content)
    except ValueError as error:
        raise ArchiveError("line 1 is not the first line of an archive of a projection") from error


def content_of(line: bytes) -> FoldedJob | RefusedEvent | End:
    """Return what a line after the first holds; ValueError when it is no job, no refused event and not the end."""
    content = _object(line)
    if content.keys() == {REFUSED}:
        return RefusedEvent.of(str(content[REFUSED]))
    if "sha256" not in content:
        return job_of(content)
    try:
        return End.model_validate(content)
    except ValidationError:
        raise ValueError("not the end of an archive") from None


def _object(line: bytes) -> dict[str, Any]:
    content = orjson.loads(line)
    if not isinstance(content, dict):
        raise ValueError("no object")  # noqa: TRY004 - what is wrong with a line is a ValueError
    return content
