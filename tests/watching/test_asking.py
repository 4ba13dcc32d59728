"""Asking again and again: what counts as a fault, what does not, and answers of several pages."""

from pathlib import Path

import pytest

from tests.support.scripted_stream import Heard, Script, playing, timeline, watch
from tests.support.seeding import FINISHED_JOB, Job, Projection, numbered
from worker.watching.asking import api as asking
from worker.watching.asking.api import connected
from worker.watching.asking.errors import RefusedError
from worker.watching.ending import Ending
from worker.watching.matches import Query
from worker.watching.settings import WatchSettings

OURS = '{"error": "The projection is rebuilding, 9 events to go"}'


async def test_an_api_that_cannot_answer_now_is_there() -> None:
    """A 503 in the API's own words is waited for, however often it comes, and is told once."""
    heard = Heard()
    script = Script(timelines=[timeline("3333", 1, 5)], refusals=[(503, OURS)] * 4)
    assert (await watch(script, heard=heard, faults=2)).ending is Ending.SUCCEEDED
    assert heard.said[1:] == [
        "the API cannot answer now: The projection is rebuilding, 9 events to go",
        "the API answers again",
    ]


async def test_contact_is_lost_after_so_many_faults_in_a_row() -> None:
    """What somebody between says is a fault; an answer between two faults makes the first forgotten."""
    proxy = (502, "<html>Bad Gateway</html>")
    heard = Heard()
    script = Script(timelines=[timeline("3333", 1, 5)], refusals=[proxy, (503, OURS), (503, "<html></html>")])
    assert (await watch(script, heard=heard, faults=2)).ending is Ending.SUCCEEDED
    assert heard.said[-1] == "in contact again"
    ended = await watch(Script(refusals=[proxy] * 2), faults=2)
    assert ended.ending is Ending.LOST_CONTACT
    assert ended.why.endswith("/timeline answers 502 (2 faults in a row)")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"jobId": "3333"}]', "[" * 9])
async def test_an_answer_that_is_none_is_a_fault(text: str) -> None:
    """What is no list of jobs, as from another server at the address, is told, and ends the wait by itself."""
    ended = await watch(Script(refusals=[(200, text)] * 2), faults=2)
    assert ended.ending is Ending.LOST_CONTACT
    assert "3333" not in ended.why


async def test_a_wrong_token() -> None:
    """Without credentials that count nothing is waited for: what to set is told."""
    with pytest.raises(RefusedError, match="refuses with 401: Unknown token: set API_TOKEN"):
        await watch(Script(refusals=[(401, '{"error": "Unknown token"}')]))


async def test_a_token_is_sent(tmp_path: Path) -> None:
    """The token of the settings, also one from a file, goes along as a header."""
    (tmp_path / "token").write_text("sesame-sesame-16\n")
    script = Script(timelines=[timeline("3333", 1)])
    async with playing(script) as address:
        settings = WatchSettings.load({"API_URL": f"{address}/", "API_TOKEN_FILE": str(tmp_path / "token")})
        async with connected(settings) as api:
            await api.timelines(Query(job_id="3333"))
    assert script.tokens == ["Bearer sesame-sesame-16"]


async def test_every_page_is_read(api: str, projection: Projection, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many jobs match, all are known; beyond a limit the question is refused, and how to ask is told."""
    await projection.put(numbered(5, seconds=5))
    monkeypatch.setattr(asking, "PAGE_JOBS", 2)
    async with connected(WatchSettings(api_url=api)) as known:
        jobs, _ = await known.timelines(Query(owner="0x1111"))
        assert [job.key.job_id for job in jobs] == [f"job-{number}" for number in (4, 3, 2, 1, 0)]
        monkeypatch.setattr(asking, "MAX_WATCHED_JOBS", 4)
        with pytest.raises(RefusedError, match="more than 4 jobs match owner=0x1111: name an agreement or a job"):
            await known.timelines(Query(owner="0x1111"))


async def test_what_the_api_tells_of_a_job(api: str, projection: Projection) -> None:
    """Stages, dates, attempt and outcome are those of the API; a job that is unknown is none, and no fault."""
    again = Job(attempt=2, stages={"started": "2020-10-01T02:00:00Z"})
    await projection.put([FINISHED_JOB, again])
    async with connected(WatchSettings(api_url=api)) as known:
        jobs, pause = await known.timelines(Query(job_id="3333"))
        assert (await known.timelines(Query(job_id="absent")))[0] == []
    second, first = jobs
    assert (second.key.attempt, second.status, second.entered) == (2, 1, "2020-10-01T02:00:00Z")
    assert (first.story.outcome, first.finished, len(first.story.dates)) == ("succeeded", "2020-10-01T01:04:00Z", 5)
    assert pause == 1


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("ftp://example.net", "such as http"),
        ("example.net", "such as http"),
        ("http://user:secret@example.net", "API_TOKEN"),
        ("http://example.net/?a=b", "query"),
    ],
)
def test_addresses_that_are_none(address: str, fault: str) -> None:
    """An address that could never work is told before anything is asked, and no secret of it."""
    with pytest.raises(Exception, match=fault) as failure:
        WatchSettings.load({"API_URL": address})
    assert "secret" not in str(failure.value)
