"""Pages of large jobs: a page ends at its bytes, so that what it takes in memory does not depend on what is asked."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from api.asking.listing import PAGE_BYTES
from api.projection.buckets import READ_BYTES
from tests.support.api_process import Server, served
from tests.support.client import STATUS, Client, next_page
from tests.support.processes import Process, started
from tests.support.seeding import Job, Projection, names

KIB = 1 << 10
JOBS = 60
# A page and what one call may bring beyond it: a call's bytes, and a job of each bucket.
MOST_BYTES = PAGE_BYTES + READ_BYTES + 3 * 256 * KIB
# Three at a time may hold this much more than none: of each its JSON, the copy that goes out, and a call's rows.
MORE_BYTES = 3 * 4 * PAGE_BYTES


def large_jobs() -> list[Job]:
    """Return jobs of 250 KB each."""
    outputs = [f"http://example.net/{'x' * 2000}/{number}" for number in range(124)]
    return [
        Job(
            job_id=f"job-{number}",
            stages={"started": f"2020-10-01T01:00:{number:02d}Z"},
            details={"outputsURL": outputs},
        )
        for number in range(JOBS)
    ]


def peak_bytes(process: Process) -> int:
    """Return the most memory that a process ever had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * KIB


async def pages_of(api: Client, query: str) -> list[list[Any]]:
    """Return the pages of a query, by their links."""
    target, found = f"{STATUS}?{query}", []
    while target:
        answer = await api.get(target)
        assert answer.status == 200, answer.body
        assert len(answer.body) < MOST_BYTES
        found.append(answer.json())
        target = next_page(answer) or ""
    return found


@pytest.mark.parametrize("buckets", [1, 3])
async def test_a_page_ends_at_its_bytes(start_api: Any, redis: Any, projection: Projection, buckets: int) -> None:
    """Pages of large jobs are short, link to the next, and together they are the list."""
    spread = Projection(redis, projection.prefix, buckets=buckets)
    await spread.begin()
    await spread.put(large_jobs())
    api = await start_api(projection.prefix)
    found = await pages_of(api, "owner=0x1111&limit=1000")
    assert names([job for page in found for job in page]) == [f"job-{number}" for number in reversed(range(JOBS))]
    assert all(PAGE_BYTES // (260 * KIB) <= len(page) <= MOST_BYTES // 250_000 for page in found[:-1])


async def test_a_page_of_a_job_larger_than_a_page_has_it(
    api: Client, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page has one job at least, however large it is."""
    monkeypatch.setattr("api.asking.listing.PAGE_BYTES", 100)
    monkeypatch.setattr("api.projection.buckets.READ_BYTES", 100)
    await projection.put(large_jobs()[:3])
    assert [len(page) for page in await pages_of(api, "owner=0x1111&limit=1000")] == [1, 1, 1]


async def test_three_large_pages_at_once_take_little_memory(
    redis_url: str, projection: Projection, tmp_path: Path
) -> None:
    """Three requests at once for all the large jobs there are: what the process takes stays within a few pages."""
    await projection.put(large_jobs())
    with served(started, tmp_path, REDIS_URL=redis_url, REDIS_PREFIX=projection.prefix) as running:
        async with Client(await Server.address(running)) as api:
            await api.jobs("jobId=job-1")
            before = peak_bytes(running.process)
            await asyncio.gather(*(api.status("owner=0x1111&limit=1000") for _ in range(3)))
            assert peak_bytes(running.process) - before < MORE_BYTES
