"""What is counted of streams is what has happened."""

from typing import Any

import pytest

from tests.support.applying import Applying
from tests.support.client import Client
from tests.support.event_source import event_source
from tests.support.seeding import Projection
from tests.support.waiting import until

OWNER = "owner=0x1111"
RECORDED = "api_stream_recorded_to_sent_seconds"
LATE_SECONDS = 40.0
AGAIN = "2020-10-01T02:00:00Z"


@pytest.fixture
async def applying(redis: Any, projection: Projection) -> Applying:
    """What applies events to the test's own projection."""
    await projection.delete()
    applying = Applying(redis, projection.prefix)
    await applying.open()
    return applying


async def samples(api: Client) -> dict[str, float]:
    """Return the measurements of the API by how they are written."""
    lines = (await api.get("/metrics")).body.decode().splitlines()
    parts = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in parts}


async def recorded(api: Client) -> tuple[float, float]:
    """Return how many frames were measured, and their seconds since they were recorded, in all."""
    found = await samples(api)
    return found[f"{RECORDED}_count"], found[f"{RECORDED}_sum"]


async def test_a_frame_is_measured_from_the_recording_of_its_newest_report(api: Client, applying: Applying) -> None:
    """However long ago older reports of the job were recorded; of two streams of one query there is one frame."""
    applying.late_seconds = 100 * LATE_SECONDS
    await applying.report("started")
    async with event_source(api, OWNER) as source, event_source(api, OWNER) as other:
        await source.is_joined()
        await other.is_joined()
        applying.late_seconds = LATE_SECONDS
        await applying.report("running")
        await source.has("status")
        await other.has("status")
        count, seconds = await recorded(api)
    assert count == 1
    assert LATE_SECONDS <= seconds < 2 * LATE_SECONDS


async def test_a_clock_that_is_ahead_measures_nothing_below_zero(api: Client, applying: Applying) -> None:
    """A frame whose report is recorded in the future, by the clock of Kafka, counts as told at once."""
    applying.late_seconds = -LATE_SECONDS
    async with event_source(api, OWNER) as source:
        await source.is_joined()
        await applying.report("started")
        await source.has("status")
        assert await recorded(api) == (1, 0)


async def test_what_was_told_before_is_not_measured_again(api: Client, applying: Applying) -> None:
    """A frame without a newly recorded stage, such as one with a message about an old one, is not measured."""
    applying.late_seconds = LATE_SECONDS
    await applying.report("started", "a")
    await applying.report("started", "b")
    async with event_source(api, OWNER) as source:
        await source.is_joined()
        await applying.report("started", "a", time=AGAIN, message="still here")
        await source.has("status")
        assert await recorded(api) == (0, 0)
        applying.late_seconds = 0
        await applying.report("running", "b")
        await source.has("status", 2)
        count, seconds = await recorded(api)
    assert count == 1
    assert seconds < LATE_SECONDS


async def test_streams_frames_and_resets_are_counted(api: Client, applying: Applying) -> None:
    """How many streams there are, what they were told, why they began again, and how old the feed's last entry is."""
    async with event_source(api, OWNER) as source, event_source(api, f"{OWNER}&lastEventId=x") as other:
        await source.is_joined()
        await other.is_joined()
        await applying.report("started")
        await source.has("status")
        await other.has("status")
        found = await samples(api)
        assert found["api_streams_open"] == 2
        assert found["api_stream_events_total"] == 2
        assert found['api_stream_resets_total{reason="unknown-id"}'] == 1
        assert 0 <= found["api_feed_age_seconds"] < LATE_SECONDS

    async def are_closed() -> bool:
        return (await samples(api))["api_streams_open"] == 0

    await until(are_closed, "both have left")
