"""What programs read: a line of JSON for each change, and one at the end; notices go to standard error."""

from collections.abc import Sequence
from typing import Any, Self

import click
import orjson

from schemas.lifecycle import Stage
from worker.watching.ending import Ended
from worker.watching.job import Job, Story
from worker.watching.telling.sentences import final_sentence, printable


class Lines:
    """Tells on standard output, an object in each line."""

    def __init__(self) -> None:
        """Nothing was told."""
        self._told: dict[Any, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to do."""

    def draw(self) -> None:
        """Nothing is drawn."""

    def told(self, job: Job) -> None:
        """Tell where a job stands, unless that was told; another wording of the same cause is no news."""
        said = told_job(job)
        news = {**said, "hint": None}
        if self._told.get(job.key) != news:
            self._told[job.key] = news
            _write({"event": "job", **said})

    def gone(self, job: Job) -> None:
        """Tell that there is no such job any more."""
        _write({"event": "gone", **told_job(job)})

    def say(self, sentence: str) -> None:
        """Tell a person something beside."""
        click.echo(printable(sentence), err=True)

    def end(self, ended: Ended, until: Stage, jobs: Sequence[Job]) -> None:
        """Tell how the wait ended."""
        _write(
            {
                "event": "end",
                "result": ended.ending.words,
                "exitCode": int(ended.ending),
                "sentence": final_sentence(ended, until, jobs),
                "jobs": [told_job(job) for job in ended.jobs],
            }
        )


def told_job(job: Job) -> dict[str, Any]:
    """Return what is told of a job: its outcome and why it is where it is, as soon as that is known."""
    why = job.story if job.is_told else Story()
    return {
        "owner": job.key.owner,
        "agreementId": job.key.agreement_id,
        "jobId": job.key.job_id,
        "attempt": job.key.attempt,
        "status": job.status,
        "statusText": job.text,
        "dateCreated": job.created,
        "dateFinished": job.finished,
        "outcome": job.story.outcome,
        "message": job.story.message,
        "error": job.story.error,
        "diagnosis": why.diagnosis,
        "hint": why.hint,
    }


def _write(event: dict[str, Any]) -> None:
    click.echo(orjson.dumps(event))
