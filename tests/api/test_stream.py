"""Streams: what is told, in which order, and how one goes on after its connection was lost."""

from typing import Any

import pytest

from tests.support.applying import Applying
from tests.support.client import STREAM, Client, StartApi
from tests.support.event_source import event_source
from tests.support.events import event
from tests.support.seeding import Projection


@pytest.fixture
async def applying(redis: Any, projection: Projection) -> Applying:
    """What applies events to the test's own projection, which has two buckets."""
    await projection.delete()
    applying = Applying(redis, projection.prefix, buckets=2)
    await applying.open()
    return applying


def statuses(told: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Return the name, attempt and status of each job that was told."""
    return [(it["job"]["jobId"], it["attempt"], it["job"]["status"]) for it in told]


async def test_a_stream_begins_with_a_snapshot_and_tells_what_changes(api: Client, applying: Applying) -> None:
    """Who streams an owner sees all its jobs at first, then each change of one, and nothing of others."""
    await applying.report("started", "a")
    await applying.report("started", "b")
    async with event_source(api, "owner=0x1111") as source:
        (snapshot,) = await source.has("snapshot")
        assert {name for name, _, _ in statuses(snapshot)} == {"a", "b"}
        assert snapshot[0]["job"] in await api.jobs("owner=0x1111")
        await source.is_joined()
        await applying.report("started", "foreign", owner="0x9999")
        await applying.report("running", "b")
        assert statuses(await source.has("status")) == [("b", 1, 3)]
        assert source.retry == "2000"


async def test_the_headers_keep_proxies_from_holding_a_stream_back(api: Client, applying: Applying) -> None:
    """A stream is an event stream whatever is accepted, is not stored or transformed, and has no head of its own."""
    await applying.report("started")
    async with event_source(api, "jobId=3333", Accept="application/json", Accept_Encoding="gzip") as source:
        assert source.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert source.headers["Cache-Control"] == "no-cache, no-transform"
        assert source.headers["X-Accel-Buffering"] == "no"
        assert "Content-Encoding" not in source.headers
    head = await api.request("HEAD", f"{STREAM}?jobId=3333")
    assert (head.status, head.headers["Allow"]) == (405, "GET, OPTIONS")


async def test_a_stream_of_a_job_walks_to_its_end(api: Client, applying: Applying) -> None:
    """When all jobs of a query that names one have finished, the stream says so and ends; coming again is 204."""
    async with event_source(api, "jobId=3333") as source:
        assert await source.has("snapshot") == [[]]
        await source.is_joined()
        for stage in ("started", "configuring", "running", "uploading", "finished"):
            await applying.report(stage)
        await source.closed()
    assert [status for _, _, status in statuses(source.named("status"))][-1] == 5
    assert source.named("end") == [{"jobs": 1}]
    assert source.last_id
    again = await api.get(f"{STREAM}?jobId=3333", Last_Event_ID=source.last_id)
    assert (again.status, again.body) == (204, b"")


async def test_a_stream_goes_on_after_its_last_id(api: Client, start_api: StartApi, applying: Applying) -> None:
    """What changed while nobody was connected is told to who comes again with its id, at any API process."""
    await applying.report("started", "a")
    async with event_source(api, "owner=0x1111") as source:
        await source.is_joined()
    await applying.report("running", "a")
    await applying.report("started", "b")
    await applying.report("started", "foreign", owner="0x9999")
    other = await start_api(applying.prefix, API_ADMIN_TOKENS="sesame-sesame-16")
    for process in (api, other):
        async with event_source(process, "owner=0x1111", Last_Event_ID=source.last_id or "") as again:
            assert sorted(statuses(await again.has("status", 2))) == [("a", 1, 3), ("b", 1, 1)]
            await again.is_joined()
            assert "snapshot" not in again.names


async def test_a_list_names_where_a_stream_goes_on(api: Client, applying: Applying) -> None:
    """A stream that begins at a list's cursor tells what changed since the list, without a gap or a snapshot."""
    await applying.report("started", "a")
    answer = await api.status("owner=0x1111")
    await applying.report("running", "a")
    async with event_source(api, f"owner=0x1111&lastEventId={answer.headers['Projection-Cursor']}") as source:
        assert statuses(await source.has("status")) == [("a", 1, 3)]
        assert source.told == ["status"]


async def test_from_now_tells_only_what_is_new(api: Client, applying: Applying) -> None:
    """Who wants no snapshot gets none."""
    await applying.report("started", "a")
    async with event_source(api, "owner=0x1111&from=now") as source:
        await source.is_joined()
        await applying.report("started", "b")
        assert statuses(await source.has("status")) == [("b", 1, 1)]
        assert source.told == ["status"]


@pytest.mark.parametrize(
    "query", ["jobId=a", "owner=0x1111&jobId=a", "owner=0x9999", "agreementId=0x2222&owner=0x9999"]
)
async def test_an_id_of_another_query_is_none(api: Client, applying: Applying, query: str) -> None:
    """An id that was given out for something else leads to a reset and a snapshot, never to a gap."""
    await applying.report("started", "a")
    async with event_source(api, "owner=0x1111") as source:
        await source.is_joined()
    async with event_source(api, query, Last_Event_ID=source.last_id or "") as other:
        assert await other.has("reset") == [{"reason": "unknown-id"}]
        await other.has("snapshot")
        assert other.told[:2] == ["reset", "snapshot"]


@pytest.mark.parametrize("forged", ["x", "%00", "AAAA", "\xff", "a" * 3000])
async def test_a_forged_id_is_none(api: Client, applying: Applying, forged: str) -> None:
    """Whatever stands in place of an id, the stream is right."""
    await applying.report("started", "a")
    async with event_source(api, f"owner=0x1111&lastEventId={forged}") as source:
        assert source.status in {200, 400}
        if source.status == 200:
            assert (await source.has("reset"), len(await source.has("snapshot"))) == ([{"reason": "unknown-id"}], 1)


async def test_jobs_that_are_let_go_are_told(api: Client, applying: Applying) -> None:
    """A job that expiry takes is gone from the stream too."""
    await applying.report("started", "a")
    async with event_source(api, "agreementId=0x2222") as source:
        await source.is_joined()
        assert await applying.collect() == 1
        gone = {"attempt": 1, "owner": "0x1111", "agreementId": "0x2222", "jobId": "a"}
        assert await source.has("gone") == [gone]


async def test_admins_alone_see_what_is_for_admins(api: Client, applying: Applying) -> None:
    """The same job is told to each by his role, and an id of one role is none of the other."""
    url = "http://example.net/config.log"
    async with (
        event_source(api, "jobId=3333", Authorization="Bearer sesame-sesame-16") as admin,
        event_source(api, "jobId=3333") as anyone,
    ):
        await admin.is_joined()
        await anyone.is_joined()
        await applying.report("started", configlogURL=url)
        assert (await admin.has("status"))[0]["job"]["configlogURL"] == url
        assert (await anyone.has("status"))[0]["job"]["configlogURL"] is None
    async with event_source(api, "jobId=3333", Last_Event_ID=admin.last_id or "") as other:
        assert await other.has("reset") == [{"reason": "unknown-id"}]


async def test_a_large_snapshot_comes_in_parts(api: Client, applying: Applying) -> None:
    """However many jobs there are, each event has a bounded size, and together they have each job once."""
    names = [f"job-{number:04}" for number in range(600)]
    for start in range(0, 600, 90):
        await applying.apply(*[_started(name) for name in names[start : start + 90]])
    async with event_source(api, "owner=0x1111") as source:
        await source.is_joined()
    parts = source.named("snapshot")
    assert [part["part"] for part in parts] == list(range(1, len(parts) + 1))
    assert [part["last"] for part in parts] == [False] * (len(parts) - 1) + [True]
    assert sorted(name for part in parts for name, _, _ in statuses(part["jobs"])) == names


def _started(name: str) -> dict[str, Any]:
    return event(job=name, event_id=name)


async def test_two_dates(api: Client, applying: Applying) -> None:
    """Dates are as they are asked for."""
    await applying.report("started", time="2020-10-01T01:00:00Z")
    async with event_source(api, "jobId=3333&dates=unix") as source:
        assert (await source.has("snapshot"))[0][0]["job"]["dateCreated"] == 1_601_514_000


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "You have to"),
        ("jobId=a&limit=5", "limit"),
        ("jobId=a&asOf=2020-10-01T01:00:00Z", "asOf"),
        ("jobId=a&from=then", "from"),
        ("jobId=a&jobId=b", "jobId"),
    ],
)
async def test_a_wrong_question_is_refused(api: Client, query: str, named: str) -> None:
    """What a stream cannot be asked is named."""
    answer = await api.get(f"{STREAM}?{query}")
    assert answer.status == 400
    assert named in answer.error
