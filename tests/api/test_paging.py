"""Pages and streams: every job once, in order, with bounded memory."""

import asyncio
import gzip
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from schemas.redis_layout import JOB, META
from tests.support.client import STATUS, Answer, Client, StartApi, next_page
from tests.support.redis_process import client_of
from tests.support.seeding import FINISHED_JOB, Job, Projection, names, numbered

pytestmark = pytest.mark.group("paging")

MANY = 100_000
MEGABYTE = 1 << 20


async def pages(api: Client, query: str) -> AsyncIterator[Answer]:
    """Yield every page of a query, by the links."""
    target: str | None = f"{STATUS}?{query}"
    while target:
        answer = await api.get(target)
        assert answer.status == 200, answer.body
        yield answer
        target = next_page(answer)


@pytest.mark.parametrize("buckets", [1, 3])
@pytest.mark.parametrize("limit", [1, 7, 99, 100, 101, 1000])
async def test_pages_are_the_list_cut_in_pieces(
    start_api: StartApi, redis: Any, projection: Projection, buckets: int, limit: int
) -> None:
    """Pages one after the other are the whole list, in its order, however many jobs share a second or a bucket."""
    spread = Projection(redis, projection.prefix, buckets=buckets)
    await spread.begin()
    await spread.put(numbered(100, seconds=3))
    api = await start_api(projection.prefix)
    whole = await api.jobs("owner=0x1111")
    assert sorted(job["dateCreated"] for job in whole)[::-1] == [job["dateCreated"] for job in whole]
    found = [answer.json() async for answer in pages(api, f"owner=0x1111&limit={limit}")]
    assert [job for page in found for job in page] == whole
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)


async def test_the_last_page_has_no_link(api: Client, projection: Projection) -> None:
    """The next page is linked only when there is one, with the same parameters."""
    await projection.put(numbered(4))
    first = await api.status("owner=0X1111&limit=2&dates=unix&x=y")
    assert first.headers["Link"].startswith("<?owner=")  # relative: right behind whatever prefix a proxy has
    link = next_page(first)
    assert link is not None
    assert link.startswith(f"{STATUS}?owner=0X1111&limit=2&dates=unix&cursor=")
    second = await api.get(link)
    assert "Link" not in second.headers
    assert isinstance(second.json()[0]["dateCreated"], int)
    for query in ("owner=0x1111&limit=4", "owner=0x1111&limit=5", "owner=0x1111", "owner=0x2&limit=1"):
        assert "Link" not in (await api.status(query)).headers


async def test_a_cursor_without_limit_gives_all_the_rest(api: Client, projection: Projection) -> None:
    """A cursor goes on to the end when no limit is given, and limit and dates may change with it."""
    await projection.put(numbered(30, seconds=5))
    whole = names(await api.jobs("owner=0x1111"))
    cursor = (next_page(await api.status("owner=0x1111&limit=10")) or "").partition("cursor=")[2]
    assert names(await api.jobs(f"owner=0x1111&cursor={cursor}")) == whole[10:]
    assert names(await api.jobs(f"owner=0x1111&cursor={cursor}&limit=3&dates=unix")) == whole[10:13]


async def test_a_cursor_belongs_to_its_query(api: Client, projection: Projection) -> None:
    """A cursor of another query, or of another asOf, is refused by its name."""
    await projection.put(numbered(4))
    cursor = (next_page(await api.status("owner=0x1111&limit=2")) or "").partition("cursor=")[2]
    others = ("owner=0x1112", "owner=0x1111&jobId=1", "agreementId=0x1111", "owner=0x1111&asOf=2030-01-01T00:00:00Z")
    for query in (*(f"{other}&cursor={cursor}" for other in others), f"owner=0x1111&cursor={cursor[:-1]}"):
        answer = await api.status(query)
        assert answer.status == 400
        assert answer.error.startswith("cursor: ")


async def test_paging_goes_on_when_the_last_job_is_gone_or_moved(api: Client, projection: Projection) -> None:
    """A page goes on at its place also when the job it ended with is gone, or was found to be older."""
    jobs = numbered(20)
    await projection.put(jobs)
    whole = names(await api.jobs("owner=0x1111"))
    link = next_page(await api.status("owner=0x1111&limit=10")) or ""
    [last] = [job for job in jobs if job.job_id == whole[9]]
    await projection.put([Job(job_id=last.job_id, stages={"started": "2020-09-30T00:00:00Z"})])
    assert names((await api.get(link)).json()) == [*whole[10:]][:10]
    await projection.redis.zrem(projection.key("owner:0x1111"), last.member)
    assert names((await api.get(link)).json()) == whole[10:]


async def test_as_of_pages_begin_where_it_stands(api: Client, projection: Projection) -> None:
    """With `asOf` pages hold only jobs of that time, none is empty, and the cursor goes with it."""
    await projection.put(numbered(60, seconds=60))
    found = [answer.json() async for answer in pages(api, "owner=0x1111&limit=8&asOf=2020-10-01T01:00:19Z")]
    assert [len(page) for page in found] == [8, 8, 4]
    assert names([job for page in found for job in page]) == [f"job-{number}" for number in range(19, -1, -1)]


async def test_a_thousand_jobs_are_one_body_and_more_are_a_stream(api: Client, projection: Projection) -> None:
    """An answer that fits into what is held in memory has a length and a tag; a longer one is streamed without."""
    await projection.put(numbered(1000, owner="0x1"))
    await projection.put(numbered(1001, owner="0x2"))
    whole, streamed = await api.status("owner=0x1"), await api.status("owner=0x2")
    assert len(whole.json()) == 1000
    only_whole = ("ETag", "Content-Length")
    assert all(name in whole.headers for name in only_whole)
    assert len(streamed.json()) == 1001
    assert streamed.headers["Transfer-Encoding"] == "chunked"
    assert not any(name in streamed.headers for name in only_whole)
    assert streamed.headers["X-Request-Id"]
    assert whole.headers["Retry-After"] == streamed.headers["Retry-After"] == "1"
    assert streamed.headers["Projection-Lag"] == "unknown"


async def test_large_jobs_are_streamed_too(api: Client, projection: Projection) -> None:
    """An answer of more than a megabyte is streamed, however few jobs it has."""
    outputs = [f"http://example.net/{'x' * 2000}/{number}" for number in range(100)]
    await projection.put(Job(job_id=f"job-{number}", details={"outputsURL": outputs}) for number in range(12))
    answer = await api.status("owner=0x1111")
    assert "ETag" not in answer.headers
    assert [job["outputsURL"] for job in answer.json()] == [outputs] * 12
    assert len([page async for page in pages(api, "owner=0x1111&limit=5")]) == 3


async def test_a_stream_can_be_gzip_and_head(api: Client, projection: Projection) -> None:
    """A stream comes as gzip to those who accept it, and HEAD gets its headers alone."""
    await projection.put(numbered(2500, seconds=7))
    plain = await api.status("owner=0x1111")
    packed = await api.status("owner=0x1111", Accept_Encoding="gzip")
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["Content-Encoding"] == "gzip"
    head = await api.request("HEAD", f"{STATUS}?owner=0x1111")
    assert (head.status, head.body) == (200, b"")


async def test_an_old_client_gets_a_stream_that_ends_with_the_connection(api: Client, projection: Projection) -> None:
    """HTTP/1.0 knows no chunks: the body ends with the connection."""
    await projection.put(numbered(1500))
    head, _, body = (await api.raw(f"GET {STATUS}?owner=0x1111 HTTP/1.0\r\n\r\n".encode())).partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert len(orjson.loads(body)) == 1500


@pytest.fixture(scope="module")
def crowd(redis_url: str) -> Iterator[str]:
    """The prefix of a projection in which one owner has 100,000 jobs of one agreement, and another half as many."""

    async def on_projection(act: Callable[[Projection], Awaitable[None]]) -> None:
        async with client_of(redis_url) as redis:
            await act(Projection(redis, "test-crowd"))

    async def fill(projection: Projection) -> None:
        await projection.begin()
        for owner, agreement, count in (("0x1", "0xa", MANY), ("0x2", "0xb", MANY // 2)):
            job = Job(owner, agreement, stages=FINISHED_JOB.stages, details=FINISHED_JOB.details)
            await projection.put_many_alike(job, (f"job-{number}" for number in range(count)))

    asyncio.run(on_projection(fill))
    yield "test-crowd"
    asyncio.run(on_projection(Projection.delete))


@pytest.fixture
async def crowded(start_api: StartApi, crowd: str) -> Client:
    """An API on it."""
    return await start_api(crowd)


def resident_bytes() -> int:
    """Return how much memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_an_owner_with_100000_jobs_is_streamed_in_bounded_memory(crowded: Client) -> None:
    """100,000 jobs of one owner come whole, in order, while the API holds a small part of them."""
    before, most, body = resident_bytes(), 0, hashlib.blake2b()
    jobs, tail = 0, b""
    async with crowded.session.get(
        f"{crowded.url}{STATUS}?owner=0x1", headers={"Accept-Encoding": "identity"}
    ) as answer:
        async for piece in answer.content.iter_any():
            most = max(most, resident_bytes())
            body.update(piece)
            jobs += (tail + piece).count(b'"jobId"')
            tail = piece[-6:]
    assert jobs == MANY
    assert tail.endswith(b"}]")
    assert most - before < 20 * MEGABYTE


async def test_a_crowded_second_answers_at_once(crowded: Client) -> None:
    """Among 100,000 jobs of one second each filter, page and asOf is answered without looking at the others."""
    before = await crowded.round_trips()
    assert len(await crowded.jobs("owner=0x1&agreementId=0xa&limit=5")) == 5
    assert names(await crowded.jobs("owner=0x1&jobId=job-77777")) == ["job-77777"]
    assert await crowded.jobs("owner=0x2&jobId=job-77777") == []
    assert await crowded.jobs("owner=0x1&asOf=2020-10-01T00:59:59Z") == []
    assert await crowded.round_trips() - before == 4
    link: str | None = f"{STATUS}?owner=0x1&limit=1000"
    for _ in range(10):
        assert link is not None
        link = next_page(await crowded.get(link))


async def test_two_filters_with_100000_jobs_that_share_none(crowded: Client) -> None:
    """Two large indexes without a common job are looked through in small steps, while others are answered."""
    searching = asyncio.create_task(crowded.jobs("owner=0x1&agreementId=0xb"))
    others = 0
    while not searching.done():
        assert len(await crowded.jobs("jobId=job-7")) == 2
        others += 1
    assert await searching == []
    assert others >= 5


async def test_a_stream_that_cannot_be_finished_is_cut(crowded: Client, crowd: str, redis: Any) -> None:
    """When the projection goes away under a stream the connection is cut: nobody takes a part for the whole."""
    projection = Projection(redis, crowd)
    try:
        async with crowded.session.get(f"{crowded.url}{STATUS}?owner=0x1") as answer:
            assert answer.status == 200
            await answer.content.readany()
            await redis.delete(projection.key(META))
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        assert (await crowded.status("owner=0x1")).status == 503
    finally:
        await projection.begin()


async def test_a_stream_in_http_1_0_ends_or_is_reset(api: Client, projection: Projection) -> None:
    """Where the end of the connection is that of the answer, as for many a proxy, one that was cut does not end so."""
    asked = f"GET {STATUS}?owner=0x1 HTTP/1.0\r\n\r\n".encode()
    await projection.put_many_alike(Job("0x1"), (f"job-{number}" for number in range(2_000)))
    assert (await api.raw(asked, 30)).endswith(b"}]")
    await projection.put_many_alike(Job("0x1"), (f"job-{number}" for number in range(40_000)))
    reader, writer = await asyncio.open_connection(api.host, api.port)
    writer.write(asked)
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    await projection.redis.delete(projection.key(META))
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_many_long_answers_at_once(api: Client, projection: Projection) -> None:
    """Long answers that share round trips are each whole: one that had no turn yet is not taken for an empty one."""
    await projection.put(numbered(900, seconds=9))
    answers = await asyncio.gather(*(api.jobs("owner=0x1111") for _ in range(40)))
    assert all(names(answer) == names(answers[0]) for answer in answers)
    assert len(answers[0]) == 900


async def test_a_job_whose_hash_is_gone_is_left_out(api: Client, projection: Projection) -> None:
    """An index entry without its job is not answered, and does not count on a page."""
    jobs = numbered(6)
    await projection.put(jobs)
    whole = names(await api.jobs("owner=0x1111"))
    [gone] = [job for job in jobs if job.job_id == whole[1]]
    await projection.redis.delete(projection.key(JOB + gone.member))
    left = [whole[0], *whole[2:]]
    assert names(await api.jobs("owner=0x1111")) == left
    found = [answer.json() async for answer in pages(api, "owner=0x1111&limit=2")]
    assert [names(page) for page in found] == [left[:2], left[2:4], left[4:]]
