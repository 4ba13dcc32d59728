"""Differences: what is stored and is not as the log says, and how many were found."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What can differ."""

    FIELD = "field"
    MISSING_JOB = "missing job"
    SURPLUS_JOB = "surplus job"
    WRONG_TYPE = "wrong type"
    MISSING_ENTRY = "missing index entry"
    SURPLUS_ENTRY = "surplus index entry"
    SCORE = "score"
    POSITION = "position"
    REPLACED = "another record in the log"
    LEDGER = "ledger"
    FLOOR = "floor"
    REFUSED = "refused event"
    LOST = "damaged, and the log no longer holds it"


class Note(StrEnum):
    """Why a job that is not as the log says is right nevertheless, or cannot be held against the log."""

    EXPIRED = "expired"
    SPOKE_AGAIN = "spoke again after it had expired"
    CARRIED = "carried over or begun in events that the log has lost"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something stored that is not as the log says; `about` names it, None stands for nothing."""

    kind: Kind
    about: str
    field: str = ""
    stored: str | None = None
    log: str | None = None

    def __str__(self) -> str:
        """Return the line for people."""
        if self.kind in {Kind.MISSING_JOB, Kind.SURPLUS_JOB, Kind.LOST}:
            return f"{self.about}: {self.kind}"
        if self.kind in {Kind.POSITION, Kind.FLOOR}:
            return f"{self.kind} {self.stored} of {self.about} is beyond the log's end {self.log}"
        if self.kind == Kind.REPLACED:
            was = f"the last record applied was {self.stored}"
            return f"{self.about}: {was}, the log has {_shown(self.log)}: it is another log"
        what = f"{self.kind} {_safe(self.field)}" if self.field else str(self.kind)
        return f"{self.about}: {what}: stored {_shown(self.stored)}, log says {_shown(self.log)}"

    def as_dict(self) -> dict[str, str | None]:
        """Return the difference for a report."""
        return {
            "kind": self.kind,
            "about": self.about,
            "field": _safe(self.field) or None,
            "stored": None if self.stored is None else _safe(self.stored),
            "log": self.log,
        }


@dataclass(slots=True)
class Findings:
    """What came of it: how much was compared, and how much differs, by kind."""

    generation: int
    jobs: int = 0
    records: int = 0
    fold_seconds: float = 0.0
    seconds: float = 0.0
    differences: Counter[Kind] = field(default_factory=Counter)
    mended: int = 0
    notes: Counter[Note] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether everything is equal by now."""
        return self.mended == self.differences.total()

    def as_dict(self) -> dict[str, Any]:
        """Return the findings for a report."""
        return {
            "generation": self.generation,
            "jobs": self.jobs,
            "records": self.records,
            "seconds": round(self.seconds, 3),
            "differences": {str(kind): count for kind, count in self.differences.items()},
            "mended": self.mended,
            "notes": {str(note): count for note, count in self.notes.items()},
            "remarks": self.remarks,
        }

    def __str__(self) -> str:
        """Return the sentences for people."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.differences.items())
        found = f"{self.differences.total()} differences ({kinds})" if kinds else "everything equal"
        mended = f", {self.mended} of them mended" if self.mended else ""
        lines = [f"{count} jobs: {note}" for note, count in self.notes.items()]
        rate = self.records / self.fold_seconds if self.fold_seconds else 0.0
        summary = (
            f"generation {self.generation}: {self.jobs} jobs compared, {self.records} records folded "
            f"({rate:.0f}/s), in {self.seconds:.1f} s: {found}{mended}"
        )
        return "\n".join([*self.remarks, *lines, summary])


def _shown(text: str | None) -> str:
    return "nothing" if text is None else repr(_safe(text))


def _safe(text: str) -> str:
    """Return text in which bytes that are not UTF-8 are spelled out."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")
