"""What a person sees while jobs are watched: a line for each job, its five steps, and below it why it stands still."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Group
from rich.text import Text

from schemas.lifecycle import OUTCOMES, STAGES
from worker.watching.job import Job
from worker.watching.telling.sentences import age, first_sentence, printable

NAME_CHARACTERS: Final = 28
# What else is on the screen: the summary, the line about what is not shown, the last words.
OTHER_LINES: Final = 4
LINES_OF_JOB: Final = 2

_CODES: Final = tuple(stage.code for stage in STAGES)
_WORDS_CHARACTERS: Final = max(len(stage.text) for stage in STAGES)
_STYLES: Final = dict(zip(OUTCOMES, ("green", "bold red", "yellow"), strict=True))


class Signs(NamedTuple):
    """The signs of steps that were reached, passed over, are under way and to come; and those of outcomes."""

    reached: str
    skipped: str
    under_way: str
    to_come: str
    succeeded: str
    failed: str
    cancelled: str


SIGNS: Final = Signs("●", "·", "◉", "○", "✓", "✗", "⊘")
ASCII_SIGNS: Final = Signs("#", ".", ">", "-", "+", "x", "/")


def board(jobs: Sequence[Job], height: int, signs: Signs = SIGNS) -> Group:
    """Return what fits on a screen so high: what is under way first, then what ended last."""
    ordered = sorted(jobs, key=lambda job: job.finished or job.created or "", reverse=True)
    ordered.sort(key=lambda job: job.has_ended)
    shown = ordered[: max((height - OTHER_LINES) // LINES_OF_JOB, 1)]
    width = max((cell_len(_name(job)) for job in shown), default=0)
    lines = [Text(summary(jobs))]
    for job in shown:
        lines.append(_line(job, width, signs))
        if reason := _reason(job):
            lines.append(Text(f"    {printable(reason)}", style="dim", no_wrap=True, overflow="ellipsis"))
    if len(shown) < len(jobs):
        lines.append(Text(f"and {len(jobs) - len(shown)} more", style="dim"))
    return Group(*lines)


def summary(jobs: Sequence[Job]) -> str:
    """Return how many jobs there are, and how they stand: `3 jobs: 2 under way, 1 failed`."""
    if not jobs:
        return "no job yet"
    counted = {
        "under way": sum(not job.has_ended for job in jobs),
        **{outcome: sum(job.story.outcome == outcome for job in jobs if job.has_ended) for outcome in OUTCOMES},
    }
    parts = ", ".join(f"{count} {words}" for words, count in counted.items() if count)
    return f"{len(jobs)} job{'s' if len(jobs) > 1 else ''}: {parts}" if parts else f"{len(jobs)} jobs"


def _line(job: Job, width: int, signs: Signs) -> Text:
    style = _STYLES.get(job.story.outcome or "", "cyan") if job.has_ended else "cyan"
    parts = [
        set_cell_size(_name(job), width),
        steps(job, signs),
        _words(job).ljust(_WORDS_CHARACTERS),
        f"for {age(job.entered)}" if job.entered and not job.has_ended else "",
        f"{age(job.created, job.finished)} in all" if job.created else "",
    ]
    line = Text("  ".join(filter(None, parts)).rstrip(), no_wrap=True, overflow="ellipsis")
    line.stylize(style, len(parts[0]))
    return line


def steps(job: Job, signs: Signs) -> str:
    """Return a sign for each stage: reached, passed over, under way or to come."""
    dates = dict(job.story.dates)
    return " ".join(_step(job, code, is_reported=not dates or code in dates, signs=signs) for code in _CODES)


def _step(job: Job, code: int, *, is_reported: bool, signs: Signs) -> str:
    if code == job.status:
        return _outcome_sign(job, signs) if job.has_ended else signs.under_way
    if code > job.status:
        return signs.to_come
    return signs.reached if is_reported else signs.skipped


def _words(job: Job) -> str:
    return job.story.outcome if job.has_ended and job.story.outcome else printable(job.text)


def _outcome_sign(job: Job, signs: Signs) -> str:
    """Return how it ended; that it was reached while nobody has said how."""
    outcome = job.story.outcome
    return signs[-len(OUTCOMES) + OUTCOMES.index(outcome)] if outcome in OUTCOMES else signs.reached


def _reason(job: Job) -> str | None:
    """Return why a job is where it is, if that is to be said: why it ended so, or why it stands still."""
    if job.has_ended:
        return job.story.error
    return first_sentence(job.story.hint or "") if job.is_told else None


def _name(job: Job) -> str:
    """Return the job's name, cut in its middle, where names of one kind differ least."""
    name = printable(job.key.name)
    if len(name) <= NAME_CHARACTERS:
        return name
    half = NAME_CHARACTERS // 2
    return f"{name[: half - 1]}…{name[-half:]}"
