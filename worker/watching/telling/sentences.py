"""What is said of jobs and of the end, in one line each that nothing in it can forge."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from schemas.lifecycle import FINISHED, Stage
from worker.watching.ending import Ended, Ending
from worker.watching.job import Job

NAMED_JOBS: Final = 3
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s")
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def printable(text: str) -> str:
    """Return the text with what would move the cursor, begin a line or turn the direction of writing escaped."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def first_sentence(text: str) -> str:
    """Return a text up to where its first sentence ends."""
    return _SENTENCE_END.split(text, maxsplit=1)[0]


def standing(job: Job) -> str:
    """Return where a job stands: `3333 is at Running algorith`."""
    if job.has_ended:
        return f"{job.key.name} has {job.story.outcome or 'ended'}"
    return f"{job.key.name} is at {job.text}"


def final_sentence(ended: Ended, until: Stage, jobs: Sequence[Job]) -> str:
    """Return the last word on a wait: how it ended, and of which jobs or why."""
    words = ended.ending.words
    if ended.ending is Ending.SUCCEEDED and until is not FINISHED:
        words = f"reached {until.name}"
    if ended.jobs:
        sentence = f"{words}: {_names(ended.jobs)}{_share(ended, jobs)}"
        if len(ended.jobs) == 1 and ended.jobs[0].story.error:
            sentence += f": {ended.jobs[0].story.error}"
        return printable(sentence)
    rest = "; ".join(filter(None, (ended.why, *(standing(job) for job in jobs[:NAMED_JOBS]))))
    more = f" and {len(jobs) - NAMED_JOBS} more" if len(jobs) > NAMED_JOBS else ""
    return printable(f"{words}: {rest}{more}" if rest else words)


def age(since: str | None, until: str | None = None) -> str:
    """Return how long it is since a moment, as `3m 05s`; empty when the moment is not known."""
    if since is None:
        return ""
    end = datetime.fromisoformat(until) if until else datetime.now(UTC)
    seconds = max(int((end - datetime.fromisoformat(since)).total_seconds()), 0)
    if seconds < _MINUTE:
        return f"{seconds}s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}m {seconds % _MINUTE:02}s"
    if seconds < _DAY:
        return f"{seconds // _HOUR}h {seconds % _HOUR // _MINUTE:02}m"
    return f"{seconds // _DAY}d {seconds % _DAY // _HOUR:02}h"


def _names(jobs: Sequence[Job]) -> str:
    more = f" and {len(jobs) - NAMED_JOBS} more" if len(jobs) > NAMED_JOBS else ""
    return ", ".join(job.key.name for job in jobs[:NAMED_JOBS]) + more


def _share(ended: Ended, jobs: Sequence[Job]) -> str:
    return f" ({len(ended.jobs)} of {len(jobs)} jobs)" if len(jobs) > len(ended.jobs) else ""
