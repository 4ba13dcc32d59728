"""What a watcher knows of a job: an attempt as the API's answers tell it, and what they tell together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from schemas.job_event import DEFAULT_ATTEMPT
from schemas.lifecycle import FINISHED


class JobKey(NamedTuple):
    """Which attempt of which job."""

    owner: str
    agreement_id: str
    job_id: str
    attempt: int

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return self.job_id if self.attempt == DEFAULT_ATTEMPT else f"{self.job_id} (attempt {self.attempt})"


@dataclass(frozen=True, slots=True)
class Story:
    """How a job got where it stood when that was asked for; `status` is the furthest stage then.

    `diagnosis` is the code of the most urgent cause of its being there, and `hint` what to say of that.
    """

    status: int = 0
    dates: tuple[tuple[int, str], ...] = ()
    outcome: str | None = None
    message: str | None = None
    error: str | None = None
    diagnosis: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt: the furthest stage that was heard of, and the latest story."""

    key: JobKey
    status: int
    text: str
    created: str | None
    finished: str | None
    story: Story = Story()

    @property
    def has_ended(self) -> bool:
        """Whether it is finished."""
        return self.status == FINISHED.code

    @property
    def is_told(self) -> bool:
        """Whether its story is of where it stands, and of a finished one how it ended."""
        return self.story.status == self.status and not (self.has_ended and self.story.outcome is None)

    @property
    def entered(self) -> str | None:
        """When it reached the stage in which it is, as far as that is known."""
        return dict(self.story.dates).get(self.status) or (self.finished if self.has_ended else None)

    def join(self, news: "Job") -> "Job":
        """Return the job with news of it; a status never goes back, whichever answer came later."""
        story = news.story if news.story.status >= self.story.status else self.story
        latest = self if self.status > news.status else news
        return replace(latest, created=latest.created or self.created, story=story)


def of_status(attempt: int, status: Mapping[str, Any]) -> Job:
    """Return the job of an object of the list's answer; KeyError, TypeError and ValueError when it is none."""
    return Job(
        _key(status, attempt),
        int(status["status"]),
        str(status["statusText"]),
        status["dateCreated"],
        status["dateFinished"],
    )


def of_timeline(timeline: Mapping[str, Any]) -> Job:
    """Return the job of an object of the timeline's answer; KeyError, TypeError and ValueError when it is none."""
    dates = tuple((int(stage["status"]), str(stage["date"])) for stage in timeline["stages"])
    code = int(timeline["status"])
    causes = timeline.get("diagnosis") or [{}]
    why = (causes[0].get("code"), causes[0].get("hint"))
    story = Story(code, dates, timeline["outcome"], timeline["message"], timeline["error"], *why)
    created = min((date for _, date in dates), default=None)
    finished = dict(dates).get(FINISHED.code)
    return Job(_key(timeline, int(timeline["attempt"])), code, str(timeline["statusText"]), created, finished, story)


def _key(job: Mapping[str, Any], attempt: int) -> JobKey:
    return JobKey(str(job["owner"]), str(job["agreementId"]), str(job["jobId"]), attempt)


def latest_attempts(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs of which there is no later attempt: what became of an earlier one decides nothing any more."""
    latest: dict[tuple[str, ...], Job] = {}
    for job in jobs:
        name = job.key[:3]
        if name not in latest or latest[name].key.attempt < job.key.attempt:
            latest[name] = job
    return list(latest.values())
