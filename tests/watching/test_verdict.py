"""When a wait is over, and how: every rule by itself."""

import asyncio
from dataclasses import replace

import orjson
import pytest

from schemas.lifecycle import STAGE_BY_NAME, STAGES
from worker.watching.ending import Ended, Ending
from worker.watching.job import Job, JobKey, Story
from worker.watching.matches import Matches, Query
from worker.watching.telling.lines import Lines
from worker.watching.telling.sentences import age, final_sentence, first_sentence, printable
from worker.watching.verdict import Goal, ending_of, verdict

FINISHED = STAGES[-1]


def job(*codes: int, name: str = "3333", outcome: str | None = None, attempt: int = 1, error: str | None = None) -> Job:
    """Return a job that reported these stages and whose story is known."""
    dates = tuple((code, f"2020-10-01T01:0{code}:00Z") for code in codes)
    told = outcome or ("succeeded" if codes[-1] == 5 else None)
    return Job(
        JobKey("0x1", "a", name, attempt),
        codes[-1],
        STAGES[codes[-1] - 1].text,
        dates[0][1],
        dates[-1][1] if codes[-1] == 5 else None,
        Story(codes[-1], dates, told, None, error),
    )


def matching(*jobs: Job, name: str | None = None) -> Matches:
    """Return what is known of a query that these jobs match."""
    matches = Matches(Query("0x1", None, name), asyncio.Event(), lambda _: None, lambda _: None)
    matches.show_all(jobs)
    return matches


FAILED, CANCELLED = job(1, 5, outcome="failed", name="f"), job(1, 5, outcome="cancelled", name="c")
LOUD = job(5, outcome="failed", error="a\nb")
STANDING = "d has succeeded; r is at Running algorith"
DONE, RUNNING = job(1, 3, 5, name="d"), job(1, 3, name="r")


@pytest.mark.parametrize(
    ("jobs", "for_all", "for_any"),
    [
        ([DONE], Ending.SUCCEEDED, Ending.SUCCEEDED),
        ([RUNNING], None, None),
        ([DONE, RUNNING], None, Ending.SUCCEEDED),
        ([DONE, FAILED, CANCELLED], Ending.FAILED, Ending.SUCCEEDED),
        ([DONE, CANCELLED], Ending.CANCELLED, Ending.SUCCEEDED),
        ([FAILED, RUNNING], None, Ending.FAILED),
        ([FAILED, CANCELLED], Ending.FAILED, Ending.CANCELLED),
    ],
)
def test_all_and_any(jobs: list[Job], for_all: Ending | None, for_any: Ending | None) -> None:
    """Of all jobs the worst outcome counts, when each has one; of any the first, and the best of several."""
    known = [matching(*jobs)]
    found = [verdict(known, Goal(is_any_enough=is_any)) for is_any in (False, True)]
    assert [ended and ended.ending for ended in found] == [for_all, for_any]


def test_only_the_latest_attempt_counts() -> None:
    """What became of an earlier attempt decides nothing once there is another."""
    first, second = job(1, 5, outcome="failed"), job(1, 3, attempt=2)
    assert verdict([matching(first, second)], Goal()) is None
    ended = verdict([matching(first, job(1, 5, attempt=2))], Goal())
    assert ended
    assert (ended.ending, [one.key.attempt for one in ended.jobs]) == (Ending.SUCCEEDED, [2])


@pytest.mark.parametrize(
    ("found", "until", "ending"),
    [
        (job(1), "running", None),
        (job(1, 3), "running", Ending.SUCCEEDED),
        (job(1, 4), "running", Ending.SUCCEEDED),
        (job(1, 5), "running", Ending.SUCCEEDED),
        (job(1, 3, 5, outcome="failed"), "running", Ending.SUCCEEDED),
        (job(1, 2, 5, outcome="failed"), "running", Ending.FAILED),
        (job(1, 5, outcome="cancelled"), "started", Ending.SUCCEEDED),
        (job(1, 3, 5, outcome="failed"), "finished", Ending.FAILED),
    ],
)
def test_until_a_stage(found: Job, until: str, ending: Ending | None) -> None:
    """A stage counts as reached or passed; a job that ended without success has passed only what it reported."""
    assert ending_of(found, STAGE_BY_NAME[until]) == ending


def test_an_end_counts_when_it_is_known_how_it_was() -> None:
    """A finished job of which nobody has said yet how it ended decides nothing."""
    heard = Job(JobKey("0x1", "a", "3333", 1), 5, "Job finished", None, None)
    assert verdict([matching(heard)], Goal()) is None
    assert ending_of(heard, STAGE_BY_NAME["running"]) is None


def test_what_is_missing() -> None:
    """Of all jobs none may be missing, of any at least one must be there, once it was looked for."""
    unknown = Matches(Query(job_id="x"), asyncio.Event(), lambda _: None, lambda _: None)
    assert verdict([unknown], Goal()) is None
    known = [matching(DONE, name="d"), matching(name="absent")]
    ended = verdict(known, Goal())
    assert ended
    assert (ended.ending, ended.why) == (Ending.NOT_FOUND, "no job matches owner=0x1 jobId=absent")
    assert verdict(known, Goal(waits_for_appearance=True)) is None
    ended = verdict(known, Goal(is_any_enough=True))
    assert ended
    assert ended.ending is Ending.SUCCEEDED


def test_a_status_never_goes_back() -> None:
    """An older answer, as of a server that is behind, changes neither status nor story."""
    finished = job(1, 3, 5, outcome="failed", error="oops")
    assert finished.join(job(1, 3)) == finished
    assert job(1, 3).join(finished) == finished


def test_a_job_must_be_missed_twice() -> None:
    """One answer without a job that was there, as of a server that is behind, makes nobody believe that it is gone."""
    matches = matching(RUNNING)
    matches.show_all([])
    assert matches.jobs
    matches.show_all([])
    assert not matches.jobs


@pytest.mark.parametrize(
    ("ended", "until", "sentence"),
    [
        (Ended(Ending.SUCCEEDED, (DONE,)), "finished", "succeeded: d (1 of 2 jobs)"),
        (Ended(Ending.SUCCEEDED, (RUNNING,)), "running", "reached running: r (1 of 2 jobs)"),
        (Ended(Ending.FAILED, (LOUD,)), "finished", r"failed: 3333 (1 of 2 jobs): a\nb"),
        (Ended(Ending.GAVE_UP, why="after 9 s"), "finished", f"gave up waiting: after 9 s; {STANDING}"),
        (Ended(Ending.INTERRUPTED), "finished", f"interrupted: {STANDING}"),
    ],
)
def test_the_last_word(ended: Ended, until: str, sentence: str) -> None:
    """The last line says how the wait ended and of which jobs, in one line."""
    assert final_sentence(ended, STAGE_BY_NAME[until], [DONE, RUNNING]) == sentence


def test_another_wording_is_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    """A program gets a line when a cause comes or goes, and none when the same one is worded anew."""
    lines = Lines()
    for code, hint in (("PROJECTION:BEHIND", "9 events"), ("PROJECTION:BEHIND", "8 events"), (None, None)):
        lines.told(replace(RUNNING, story=replace(RUNNING.story, diagnosis=code, hint=hint)))
    told = [orjson.loads(line)["diagnosis"] for line in capsys.readouterr().out.splitlines()]
    assert told == ["PROJECTION:BEHIND", None]


def test_sentences() -> None:
    """Ages are short, hints are cut behind their first sentence, and nothing can forge a line."""
    minute = "2020-10-01T01:00:00Z"
    ends = ["2020-10-01T01:00:09Z", "2020-10-01T01:03:05Z", "2020-10-01T03:04:00Z", "2020-10-03T02:00:00Z"]
    assert [age(minute, end) for end in ends] == ["9s", "3m 05s", "2h 04m", "2d 01h"]
    assert (age(None), age(ends[0], minute)) == ("", "0s")
    assert first_sentence("No news for 0.5 h. Look at it! Now.") == "No news for 0.5 h."
    assert printable("a\u202eb\x1b[31m") == r"a\u202eb\x1b[31m"
