"""The fold: registers that only move one way.

A job is two groups of registers. Of each stage the smallest report is kept (so the earliest), of each detail the
greatest (so the latest stage's latest report), both compared as text, which sorts as its UTF-8 bytes do. Keeping the
smaller or the greater of two values is commutative, associative and idempotent: reports that arrive in any order,
any number of times, split in any way, give the same job. The script in Redis applies the same rule to what is
stored.

One detail is reported by nobody: the last news. When two reports of a stage meet that are of different times, the later
of the two is news of that stage; of all such news the greatest is kept, so the latest of the furthest stage that was
repeated. Whatever meets first, the latest report of that stage meets another one of it, and nothing greater does: so
this, too, is the same in any order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.identity import JobIdentity
from schemas.job_event import JobEvent
from schemas.lifecycle import STAGE_BY_NAME
from schemas.redis_layout import NEWS
from schemas.registers import STAGE_TIME, detail_stamp, news_register, stage_register, value_text

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
        return min(self.stages.values())[STAGE_TIME]

    def add(self, event: JobEvent, record: str) -> int:
        """Join one report in; `record` says where and when it was recorded, as `record_text` writes it.

        Return by how many characters its registers have grown at most.
        """
        _, stage, time, source, event_id, details = event
        register = stage_register(time, source, event_id, record)
        return self.keep(stage.name, register, detail_stamp(stage.code, time, event_id), details)

    def keep(self, stage: str, register: str, stamp: str, details: Mapping[str, Any]) -> int:
        """Join one report in: the register of its stage, and its details, whose registers begin with the stamp.

        Return by how many characters the registers have grown at most.
        """
        size, stages = len(register), self.stages
        if stage not in stages:
            stages[stage] = register
        else:
            self._meet(stage, register)
        if details:
            known = self.details
            for name, value in details.items():
                register = stamp + (value if value.__class__ is str else value_text(value))
                size += len(register)
                if name not in known or register > known[name]:
                    known[name] = register
        return size

    def join(self, other: "FoldedJob") -> None:
        """Join in what other reports of the same attempt gave."""
        for name, register in other.stages.items():
            if name not in self.stages:
                self.stages[name] = register
            else:
                self._meet(name, register)
        for name, register in other.details.items():
            self.details[name] = max(register, self.details.get(name, register))

    def _meet(self, name: str, register: str) -> None:
        """Join in another report of a stage that is known: the smaller is kept, and the later is news."""
        known = self.stages[name]
        if register < known:
            self.stages[name] = register
        if register[STAGE_TIME] != known[STAGE_TIME]:
            later = max(register, known)[STAGE_TIME]
            news = news_register(STAGE_BY_NAME[name].code, later)
            self.details[NEWS] = max(news, self.details.get(NEWS, news))
