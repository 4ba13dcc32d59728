"""Answers that one call gave in full say what those say that are put together out of parts."""

from typing import Any

import pytest

from api.asking.at_once import REMEMBERED, REMEMBERED_BYTES, AtOnce
from api.asking.credentials import ANYBODY
from api.asking.query import parse_query
from api.metrics import Metrics
from api.projection.generation import Bucket, Generation
from api.projection.lookup import Portion, Row
from api.projection.projection import First, Projection
from api.projection.standing import Standing
from schemas.job_status import View
from schemas.redis_layout import CUTOFF, pointer_key
from schemas.stored_job import row_of
from tests.support.client import STATUS, Client
from tests.support.seeding import FINISHED_JOB, PARTITION, Job, numbered
from tests.support.seeding import Projection as Seeding

QUERIES = (
    "jobId=3333",
    "jobId=nobody",
    "owner=0x1111&dates=unix",
    "owner=0x1111&limit=2",
    "owner=0x1111&limit=1000",
    "owner=0x1111&agreementId=0x2222&jobId=3333",
    "jobId=3333&asOf=2020-10-01T01:02:00Z",
    "jobId=3333&asOf=2019-10-01T01:02:00Z",
    "owner=0x5555",
)
ADMIN = {"Authorization": "Bearer sesame-sesame-16"}
OF_A_REQUEST = ("date", "x-request-id")
STANDING = Standing("i", is_sealed=False, sift=None, floors={}, positions={}, heartbeats={})
GENERATION = Generation(1, (Bucket(1, 0, "base:", "i"),))
RAW = "jobId=3333"


async def answers(api: Client) -> list[Any]:
    """Return what is answered to each query and role: status, body and headers, but for those of one request."""
    told = []
    for headers in ({}, ADMIN):
        for query in QUERIES:
            answer = await api.get(f"{STATUS}?{query}", **headers)
            lines = sorted((name, value) for name, value in answer.headers.items() if name.lower() not in OF_A_REQUEST)
            told.append((query, answer.status, answer.body, lines))
    return told


@pytest.mark.parametrize("cutoff", ["", "2020-10-01T01:00:02"])
async def test_the_short_way_says_what_the_long_way_says(
    api: Client, projection: Seeding, monkeypatch: pytest.MonkeyPatch, cutoff: str
) -> None:
    """Bodies and headers are the same, also where what came first is gone on with, and where old jobs are not shown."""
    await projection.put([FINISHED_JOB, *numbered(3, seconds=3)])
    await projection.put(numbered(60, owner="0x5555"))
    await projection.stand({PARTITION: 7}, {PARTITION: 9})
    if cutoff:
        await projection.redis.hset(pointer_key(projection.prefix), CUTOFF, cutoff)
    short = await answers(api)
    monkeypatch.setattr(AtOnce, "answer", lambda *_: None)
    assert await answers(api) == short

    async def nothing(*_: Any) -> None:
        pass

    monkeypatch.setattr(Projection, "first", nothing)
    assert await answers(api) == short


def portion(rows: list[Row], *, is_done: bool = True, is_whole: bool = True) -> Portion:
    """Return what a call gives."""
    return Portion(rows, None, is_done, STANDING, 0, is_whole)


def row(job: Job) -> Row:
    """Return the row of a job."""
    return [*row_of(job.fields()), None, b"0", job.member.encode()]


def made(at_once: AtOnce, first: First, raw: str = RAW, view: View | None = None) -> Any:
    """Return the answer that is made."""
    return at_once.answer(raw, parse_query(raw), ANYBODY, view or View(), first)


def test_who_shares_a_call_shares_the_answer() -> None:
    """It is made once for a query, a view and a call; the next call is answered with what that one brought."""
    at_once, first = AtOnce(Metrics()), First(GENERATION, portion([row(FINISHED_JOB)]))
    answer = made(at_once, first)
    assert made(at_once, first) is answer
    assert made(at_once, first, view=View(is_admin=True)).body != answer.body
    later = made(at_once, First(GENERATION, portion([row(Job())])))
    assert later.body != answer.body
    assert later.lines != answer.lines


def test_what_is_not_all_is_left_to_the_long_way() -> None:
    """There is more, something is damaged, or a page holds less."""
    at_once, rows = AtOnce(Metrics()), [row(job) for job in numbered(2)]
    assert made(at_once, First(GENERATION, portion(rows))) is not None
    assert made(at_once, First(GENERATION, portion(rows, is_done=False))) is None
    assert made(at_once, First(GENERATION, portion(rows, is_whole=False))) is None
    assert made(at_once, First(GENERATION, portion(rows)), f"{RAW}&limit=1") is None


def test_what_is_remembered_has_a_limit() -> None:
    """However many queries there are, and however large their answers, a bounded number of bytes is remembered."""
    at_once, first = AtOnce(Metrics()), First(GENERATION, portion([row(FINISHED_JOB)]))
    for number in range(3 * REMEMBERED):
        made(at_once, first, f"jobId={number}")
    assert len(at_once._made) <= REMEMBERED  # noqa: SLF001 - its size cannot be seen from outside
    large = First(GENERATION, portion([row(job) for job in numbered(REMEMBERED_BYTES // 200)]))
    assert made(at_once, large) is not made(at_once, large)
