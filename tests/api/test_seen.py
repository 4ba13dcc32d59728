"""No job twice in one answer, however it moves while the answer is read."""

import sys
from itertools import pairwise
from typing import Any

import pytest

from api.asking import seen
from api.asking.seen import UNSHELVED_JOBS, Seen
from api.projection import scan
from api.projection.lookup import Row, member_of
from tests.support.client import Client, StartApi
from tests.support.seeding import Job, Projection, names, numbered

TOLD_JOBS = 5 * UNSHELVED_JOBS
EARLIER = {"started": "2020-09-30T00:00:00Z"}


def rows_of(numbers: range) -> list[Row]:
    """Return rows that hold nothing but a member."""
    return [[b"0", f"{number:022d}a1".encode()] for number in numbers]


@pytest.fixture
def moved_at(projection: Projection, monkeypatch: pytest.MonkeyPatch) -> dict[int, list[Job]]:
    """Before which call to Redis, counted from 1, which jobs are found to be older than they were."""
    moves: dict[int, list[Job]] = {}
    fill, fills = scan.Scan.fill, 0

    async def fill_once_moved(self: scan.Scan, count: int) -> None:
        nonlocal fills
        fills += 1
        await projection.put([Job(job_id=job.job_id, stages=EARLIER) for job in moves.get(fills, [])])
        await fill(self, count)

    monkeypatch.setattr(scan.Scan, "fill", fill_once_moved)
    return moves


@pytest.mark.parametrize("unshelved", [100, UNSHELVED_JOBS])
async def test_a_job_that_moves_under_a_stream_is_in_it_once(
    api: Client,
    projection: Projection,
    moved_at: dict[int, list[Job]],
    monkeypatch: pytest.MonkeyPatch,
    unshelved: int,
) -> None:
    """Jobs that were told and move to later places are not told again; those that move before they are told, once."""
    monkeypatch.setattr(seen, "UNSHELVED_JOBS", unshelved)
    jobs = numbered(3000)
    await projection.put(jobs)
    in_order = sorted(jobs, key=lambda job: job.member)
    moved_at[3] = in_order[:100] + in_order[2900:]
    moved_at[6] = in_order[100:200]
    found = names(await api.jobs("owner=0x1111"))
    assert len(found) == 3000
    assert set(found) == {job.job_id for job in jobs}


@pytest.mark.parametrize("buckets", [1, 3])
async def test_a_job_that_moves_under_a_page_is_on_it_once(
    start_api: StartApi, redis: Any, projection: Projection, moved_at: dict[int, list[Job]], buckets: int
) -> None:
    """A page that takes several calls has each job once."""
    spread = Projection(redis, projection.prefix, buckets=buckets)
    projection.buckets = buckets
    await spread.begin()
    jobs = numbered(900)
    await spread.put(jobs)
    api = await start_api(projection.prefix)
    moved_at[2] = sorted(jobs, key=lambda job: job.member)[:30]
    found = names(await api.jobs("owner=0x1111&limit=1000"))
    assert len(found) == 900
    assert set(found) == {job.job_id for job in jobs}


def test_a_job_that_was_told_is_remembered_in_ten_bytes() -> None:
    """What is remembered of a long answer is small; what was told is known again, and nothing else is."""
    told = Seen()
    sizes: list[int] = []
    for start in range(0, 3 * TOLD_JOBS, 1000):
        assert len(told.new(rows_of(range(start, start + 1000)))) == 1000
        if not (start + 1000) % TOLD_JOBS:
            sizes.append(sum(map(sys.getsizeof, told._shelves)))  # noqa: SLF001 - it cannot be seen from outside
    assert len(sizes) == 3
    assert all(more - less < 10 * TOLD_JOBS for less, more in pairwise(sizes)), sizes
    again = told.new(rows_of(range(3 * TOLD_JOBS - 1000, 3 * TOLD_JOBS + 1000)))
    assert [member_of(row) for row in again] == [
        member_of(row) for row in rows_of(range(3 * TOLD_JOBS, 3 * TOLD_JOBS + 1000))
    ]
