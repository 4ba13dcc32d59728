"""The fold: registers that only move one way.

A job is two groups of registers. Of each stage the smallest report is kept (so the earliest), of each detail the
greatest (so the latest stage's latest report), both compared as text, which sorts as its UTF-8 bytes do. Keeping the
smaller or the greater of two values is commutative, associative and idempotent: reports that arrive in any order,
any number of times, split in any way, give the same job. The script in Redis applies the same rule to what is
stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import orjson

from schemas.event_time import SORTABLE_CHARACTERS
from schemas.identity import JobIdentity
from schemas.job_event import JobEvent
from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import IDENTITY_FIELDS, SEPARATOR

# Field name -> register.
Registers = dict[str, str]


@dataclass(slots=True)
class FoldedJob:
    """The registers of one attempt of a job that some reports give."""

    identity: JobIdentity
    stages: Registers = field(default_factory=dict)
    details: Registers = field(default_factory=dict)

    @property
    def created(self) -> str:
        """The earliest time of any report, in sortable form."""
        return min(self.stages.values())[:SORTABLE_CHARACTERS]

    def add(self, event: JobEvent, recorded_at: str) -> None:
        """Join one report in; `recorded_at` names its record: `<topic>/<partition>/<offset>`."""
        _, stage, time, source, event_id, details = event
        _keep_smaller(
            self.stages, stage.name, f"{time}{SEPARATOR}{source}{SEPARATOR}{event_id}{SEPARATOR}{recorded_at}"
        )
        if details:
            stamp = f"{stage.code:02d}{SEPARATOR}{time}{SEPARATOR}{event_id}{SEPARATOR}"
            for name, value in details.items():
                text = value if value.__class__ is str else orjson.dumps(value).decode()
                _keep_greater(self.details, name, stamp + text)

    @classmethod
    def from_hash(cls, fields: Mapping[bytes, bytes]) -> Self:
        """Return the job that a hash in Redis holds; KeyError or ValueError when it is no job's."""
        text = {name.decode(): value.decode() for name, value in fields.items()}
        owner, agreement_id, job_id, attempt = (text.pop(name) for name in IDENTITY_FIELDS)
        stages = {name: text.pop(name) for name in STAGE_NAMES if name in text}
        return cls(JobIdentity(owner, agreement_id, job_id, int(attempt)), stages, text)

    def join(self, other: "FoldedJob") -> None:
        """Join in what other reports of the same attempt gave."""
        for name, register in other.stages.items():
            _keep_smaller(self.stages, name, register)
        for name, register in other.details.items():
            _keep_greater(self.details, name, register)


def _keep_smaller(registers: Registers, name: str, register: str) -> None:
    current = registers.get(name)
    if current is None or register < current:
        registers[name] = register


def _keep_greater(registers: Registers, name: str, register: str) -> None:
    current = registers.get(name)
    if current is None or register > current:
        registers[name] = register
