"""Jobs without news since the cutoff are not shown."""

from typing import Any

import pytest

from api.projection import scan
from schemas.redis_layout import CUTOFF, META, pointer_key
from tests.support.client import STATUS, TIMELINE, Client, StartApi, next_page
from tests.support.seeding import Job, Projection, names, numbered
from tests.support.waiting import until

HIDDEN_WITHIN_SECONDS = 2
AT = "2020-10-01T01:00:30.000000"


async def expire(projection: Projection, cutoff: str = AT) -> None:
    """Set the cutoff."""
    await projection.redis.hset(pointer_key(projection.prefix), CUTOFF, cutoff)


def job(name: str, time: str, **more: Any) -> Job:
    """Return a job that was started then."""
    return Job(job_id=name, stages={"started": time}, **more)


async def test_old_jobs_are_hidden_within_two_seconds(api: Client, projection: Projection) -> None:
    """Jobs on both sides of the cutoff are told apart to the microsecond, in the status and in the timeline."""
    early = "2020-10-01T00:00:00Z"
    finished = Job(job_id="finished", stages={"started": early, "finished": "2020-10-01T01:00:29Z"})
    spoke = job("spoke", early, details={"message": "still here"}, detail_time="2020-10-01T01:00:30Z")
    silent = job("silent", early, details={"message": "no more"}, detail_time="2020-10-01T01:00:29.999999Z")
    before, at, after = (
        job(name, f"2020-10-01T01:00:{time}Z")
        for name, time in (("before", "29.999999"), ("at", "30"), ("after", "30.000001"))
    )
    await projection.put([finished, spoke, silent, before, at, after])
    assert len(await api.jobs("owner=0x1111")) == 6
    first = await api.status("owner=0x1111")
    await expire(projection)

    async def are_hidden() -> bool:
        return len(await api.jobs("owner=0x1111")) < 6

    await until(are_hidden, "old jobs are hidden", HIDDEN_WITHIN_SECONDS)
    assert set(names(await api.jobs("owner=0x1111"))) == {"spoke", "at", "after"}
    assert set(names((await api.get(f"{TIMELINE}?owner=0x1111")).json())) == {"spoke", "at", "after"}
    for name in ("finished", "silent", "before"):
        for query in (f"jobId={name}", f"owner=0x1111&agreementId=0x2222&jobId={name}", f"jobId={name}&limit=1"):
            assert await api.jobs(query) == []
    assert await api.jobs("jobId=finished&asOf=2020-10-01T00:30:00Z") == []
    assert (await api.status("owner=0x1111", If_None_Match=first.headers["ETag"])).status == 200


async def test_an_answer_is_about_what_it_shows(start_api: StartApi, projection: Projection) -> None:
    """Nobody is told to ask again for an unfinished job that is hidden, and an unchanged answer is a 304."""
    await expire(projection)
    await projection.put([job("old", "2020-10-01T00:00:00Z")])
    finished = Job(job_id="new", stages={"started": "2020-10-01T00:00:00Z", "finished": "2020-10-01T02:00:00Z"})
    await projection.put([finished])
    api = await start_api(projection.prefix)
    answer = await api.status("owner=0x1111")
    assert names(answer.json()) == ["new"]
    assert "Retry-After" not in answer.headers
    assert (await api.status("owner=0x1111", If_None_Match=answer.headers["ETag"])).status == 304


@pytest.mark.parametrize("buckets", [1, 3])
@pytest.mark.parametrize("limit", [1, 7, 30, 1000])
async def test_pages_and_streams_pass_over_hidden_jobs(
    start_api: StartApi, redis: Any, projection: Projection, buckets: int, limit: int
) -> None:
    """Pages hold as many jobs as asked for, whatever is hidden between them; none is empty and the last has no link."""
    spread = Projection(redis, projection.prefix, buckets=buckets)
    await spread.begin()
    news = [{"running": f"2020-10-01T01:00:{number % 60:02d}Z"} for number in range(240)]
    await spread.put(
        Job(job_id=f"job-{number}", stages={"started": f"2020-10-01T00:{number % 50:02d}:00Z", **later})
        for number, later in enumerate(news)
    )
    await expire(spread)
    api = await start_api(projection.prefix)
    whole = await api.jobs("owner=0x1111")
    assert set(names(whole)) == {f"job-{number}" for number in range(240) if number % 60 >= 30}
    found, target = [], f"{STATUS}?owner=0x1111&limit={limit}"
    while True:
        answer = await api.get(target)
        found.append(answer.json())
        if (link := next_page(answer)) is None:
            break
        target = link
    assert [one for page in found for one in page] == whole
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert found[-1]


async def test_many_hidden_jobs_cost_few_round_trips(start_api: StartApi, projection: Projection) -> None:
    """Hidden jobs are passed over in large steps; a page may end before it found any that is shown, never the last."""
    shown = job("shown", "2020-10-01T00:30:00Z", details={"message": "here"}, detail_time="2020-10-01T02:00:00Z")
    await projection.put([shown])
    hidden = job("", "2020-10-01T00:40:00Z")
    await projection.put_many_alike(hidden, (f"job-{number}" for number in range(10_000)))
    await expire(projection)
    api = await start_api(projection.prefix)
    found, target = [], f"{STATUS}?owner=0x1111&limit=1"
    while target:
        page = await api.get(target)
        found += names(page.json())
        target = next_page(page) or ""
    assert found == ["shown"]
    asked = await api.round_trips()
    assert asked < 10_000 / 100
    assert names(await api.jobs("owner=0x1111")) == ["shown"]


async def test_a_long_answer_is_of_one_cutoff(
    start_api: StartApi, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that has begun goes on by the cutoff it began with, and only the next answer is by the new one."""
    await projection.put(numbered(5000, seconds=60))
    api = await start_api(projection.prefix)
    fills = 0
    fill = scan.Scan.fill

    async def is_hidden() -> bool:
        return await api.jobs("jobId=job-0") == []

    async def slow_fill(self: scan.Scan, count: int) -> None:
        nonlocal fills
        fills += 1
        if fills == 3:
            await expire(projection)
            await until(is_hidden, "the new cutoff is in force", HIDDEN_WITHIN_SECONDS)
        await fill(self, count)

    monkeypatch.setattr(scan.Scan, "fill", slow_fill)
    assert len(await api.jobs("owner=0x1111")) == 5000
    assert len(await api.jobs("owner=0x1111")) < 5000


async def test_a_raised_cutoff_is_no_other_generation(
    start_api: StartApi, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket that is gone is 503 at once when only the cutoff has changed: there is nothing else to try."""
    await projection.put([Job()])
    api = await start_api(projection.prefix)
    assert len(await api.jobs("owner=0x1111")) == 1
    await projection.redis.delete(projection.key(META))
    await expire(projection)
    fills = []
    fill = scan.Scan.fill

    async def counted_fill(self: scan.Scan, count: int) -> None:
        fills.append(count)
        await fill(self, count)

    monkeypatch.setattr(scan.Scan, "fill", counted_fill)
    assert (await api.status("owner=0x1111")).status == 503
    assert len(fills) == 1
