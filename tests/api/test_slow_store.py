"""Lists out of a store that is slow, but answers: what was read is sent before who asks has waited for long."""

import asyncio
from typing import Any

import pytest

from api.asking import listing
from api.asking.listing import read_list, read_page
from api.metrics import Metrics
from api.projection.generation import Bucket, Generation
from api.projection.lookup import Lookup, Place, Portion, Search
from api.projection.scan import Scan
from api.projection.standing import Standing
from api.web.budget import Budget, Holding

STANDING = Standing("i", is_sealed=False, sift=None, floors={}, positions={}, heartbeats={})
JOBS = 20
CALL_SECONDS = 0.02
MOST_CALLS = 6


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "SENT_AFTER_SECONDS", 0.05)


class SlowStore:
    """A bucket that gives one job in each call, and takes its time for it."""

    def __init__(self) -> None:
        self.calls = 0

    def ask(self, _: Bucket, lookup: Lookup) -> "asyncio.Future[Portion]":
        """Ask."""
        return asyncio.ensure_future(self._answer(lookup))

    async def _answer(self, lookup: Lookup) -> Portion:
        self.calls += 1
        await asyncio.sleep(CALL_SECONDS)
        score = lookup.after.score + 1 if lookup.after else 1
        row: list[Any] = [str(score).encode(), f"job-{score}".encode()]
        return Portion([row], Place(score, f"job-{score}"), score == JOBS, STANDING, 0)


@pytest.fixture
def store() -> SlowStore:
    """A store."""
    return SlowStore()


@pytest.fixture
def scan(store: SlowStore) -> Scan:
    """A scan of all its jobs."""
    generation = Generation(1, (Bucket(1, 0, "", "i"),))
    return Scan(store.ask, generation, Search(("owner:x",), None, None), asyncio.Lock())


def shown(row: Any) -> dict[str, Any]:
    """Return what is shown of a row."""
    return {"jobId": row[1].decode(), "status": 5}


async def test_a_list_begins_before_all_of_it_is_read(store: SlowStore, scan: Scan) -> None:
    """Its first jobs are sent, the rest follows, and no job is missing."""
    with Holding(Budget(Metrics())) as room:
        listed = await read_list(scan, shown, room)
        assert store.calls <= MOST_CALLS
        assert not isinstance(listed.body, bytes)
        text = b"".join([piece async for piece in listed.body]).decode()
    assert [f'"job-{number}"' in text for number in range(1, JOBS + 1)] == [True] * JOBS


async def test_a_page_ends_early_and_says_where_to_go_on(store: SlowStore, scan: Scan) -> None:
    """It has what was read until then, and is not taken for the last one."""
    with Holding(Budget(Metrics())) as room:
        listed = await read_page(scan, JOBS, shown, room)
    assert store.calls <= MOST_CALLS
    assert isinstance(listed.body, bytes)
    last = listed.body.count(b"jobId")
    assert listed.next == Place(last, f"job-{last}")
    assert listed.met == "page wait"
