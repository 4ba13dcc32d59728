"""Reading one's own writes: an answer that is asked for after a record has that record in it, or is none."""

import asyncio
from typing import Any

import pytest

from operator_status import Acknowledgement
from tests.support.applying import PARTITION, Applying
from tests.support.client import STATUS, TIMELINE, StartApi
from tests.support.seeding import Projection

TOO_MANY = "&after=".join(["t/0:0"] * 9)


@pytest.fixture
async def applying(redis: Any, projection: Projection) -> Applying:
    """What applies events to the test's own projection, which has two buckets."""
    await projection.delete()
    applying = Applying(redis, projection.prefix, buckets=2)
    await applying.open()
    return applying


@pytest.mark.parametrize("path", [STATUS, TIMELINE])
async def test_an_answer_waits_until_a_record_is_applied(start_api: StartApi, applying: Applying, path: str) -> None:
    """Who asks after a record that is not applied yet is answered when it is, with it; others are answered at once."""
    api = await start_api(applying.prefix, API_AFTER_SECONDS="30")
    await applying.report("started")
    after = Acknowledgement("t", 0, applying.position).position
    waiting = [asyncio.create_task(api.get(f"{path}?jobId=3333&after={after}&after=t/0:0")) for _ in range(20)]
    assert (await api.get(f"{path}?jobId=3333&after=t/0:0")).json()[0]["status"] == 1
    assert not any(answer.done() for answer in waiting)
    await applying.report("running")
    assert [(await answer).json()[0]["status"] for answer in waiting] == [3] * 20


async def test_what_is_not_applied_in_time_is_503(start_api: StartApi, applying: Applying) -> None:
    """The wait has a limit; then the answer says how far it is, and when to ask again."""
    api = await start_api(applying.prefix, API_AFTER_SECONDS="0.2")
    await applying.report("started")
    answer = await api.status("jobId=3333&after=t/0:0&after=t/0:7&after=other/1:0")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.error == "Not applied yet: t/0:7, the next one is 1, other/1:0, the next one is 0"
    assert answer.headers["Projection-Lag"] == "0"


@pytest.mark.parametrize(
    "after",
    ["", "1041", "t:1", "t/0", "t/0:-1", "t/0:x", "t/x:1", "/0:1", "t/0:1%0At/0:2", TOO_MANY],
)
async def test_what_is_no_record_is_refused(start_api: StartApi, applying: Applying, after: str) -> None:
    """A place that cannot be is named as wrong, and so are too many."""
    api = await start_api(applying.prefix)
    answer = await api.status(f"jobId=3333&after={after}")
    assert answer.status == 400
    assert "after" in answer.error


async def test_pages_go_on_without_waiting_again(start_api: StartApi, applying: Applying) -> None:
    """The next page's address asks for nothing that the first one has waited for."""
    api = await start_api(applying.prefix)
    await applying.report("started", "a")
    await applying.report("started", "b")
    answer = await api.status(f"owner=0x1111&limit=1&after={PARTITION}:1")
    assert answer.status == 200
    assert "after" not in answer.headers["Link"]


def test_a_report_that_nobody_can_find_has_no_position() -> None:
    """Where Kafka has forgotten the place of a record there is nothing to ask after."""
    assert Acknowledgement("t", 0, -1).position is None
    assert Acknowledgement("job-events", 3, 1041).position == "job-events/3:1041"
