"""The projector with one thing wrong in its rule of the fold, to see who notices: `BROKEN_FOLD` says what.

The processes that a rebuild starts import their parent's main module, which is this one, so they are as wrong.
"""

import multiprocessing
import os
from collections.abc import Callable
from typing import Any, Final

from projector.__main__ import main
from projector.fold import batches
from projector.fold.batch import Batch
from projector.fold.job import FoldedJob
from projector.operating import child_processes
from schemas.job_event import JobEvent
from schemas.registers import STAGE_TIME, detail_stamp, stage_register, value_text

BROKEN_FOLD: Final = "BROKEN_FOLD"


def _later_stage(job: FoldedJob, event: JobEvent, record: str) -> None:
    register = stage_register(event.time, event.source, event.id, record)
    job.stages[event.stage.name] = max(register, job.stages.get(event.stage.name, register))
    _add_details(job, event, event.stage.code, max)


def _smaller_detail(job: FoldedJob, event: JobEvent, record: str) -> None:
    _add_stage(job, event, record)
    _add_details(job, event, event.stage.code, min)


def _lower_stage_wins(job: FoldedJob, event: JobEvent, record: str) -> None:
    _add_stage(job, event, record)
    for name, value in event.details.items():
        register = detail_stamp(event.stage.code, event.time, event.id) + value_text(value)
        known = job.details.get(name, register)
        job.details[name] = min(register, known, key=lambda one: one[:2])


def _lost_detail(job: FoldedJob, event: JobEvent, record: str) -> None:
    _add_stage(job, event, record)
    kept = {name: value for name, value in event.details.items() if name != "message"}
    _add_details(job, event._replace(details=kept), event.stage.code, max)


def _no_news(job: FoldedJob, event: JobEvent, record: str) -> None:
    _add_stage(job, event, record)
    _add_details(job, event, event.stage.code, max)


def _add_stage(job: FoldedJob, event: JobEvent, record: str) -> None:
    register = stage_register(event.time, event.source, event.id, record)
    job.stages[event.stage.name] = min(register, job.stages.get(event.stage.name, register))


def _add_details(job: FoldedJob, event: JobEvent, code: int, choose: Callable[[str, str], str]) -> None:
    for name, value in event.details.items():
        register = detail_stamp(code, event.time, event.id) + value_text(value)
        job.details[name] = choose(register, job.details.get(name, register))


def _created_late(job: FoldedJob) -> str:
    return max(job.stages.values())[STAGE_TIME]


def _mix_attempts() -> None:
    add = Batch.add

    def add_to_the_first(batch: Batch, event: JobEvent, span_index: int, recorded_at: str) -> None:
        add(batch, event._replace(identity=event.identity._replace(attempt=1)), span_index, recorded_at)

    setattr(Batch, "add", add_to_the_first)  # noqa: B010 - mypy would not have it otherwise


def _replace_add(broken: Callable[[FoldedJob, JobEvent, str], None]) -> Callable[[], None]:
    def add(job: FoldedJob, event: JobEvent, record: str) -> int:
        broken(job, event, record)
        return len(record)

    return _replace("add", add)


def _replace(name: str, broken: Any) -> Callable[[], None]:
    return lambda: setattr(FoldedJob, name, broken)


BREAKAGES: Final = {
    "a stage keeps the later report": _replace_add(_later_stage),
    "a detail keeps the smaller value": _replace_add(_smaller_detail),
    "a detail of a lower stage wins": _replace_add(_lower_stage_wins),
    "created is the latest stage": _replace("created", property(_created_late)),
    "a detail is lost": _replace_add(_lost_detail),
    "signs of life are lost": _replace_add(_no_news),
    "attempts are mixed": _mix_attempts,
}

if breakage := os.environ.get(BROKEN_FOLD):
    # Usual events would be folded without what is broken.
    setattr(batches, "add_usual", lambda *_: False)  # noqa: B010 - as above
    BREAKAGES[breakage]()
    # What is forked from a process that has not imported this module would be right.
    child_processes.PROCESSES = multiprocessing.get_context("spawn")

if __name__ == "__main__":
    main()
