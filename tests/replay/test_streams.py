"""Open streams while a projection is built anew, rolled back and dropped, and while its projector is away."""

import asyncio

import pytest

from tests.support.deployment import Deployment
from tests.support.event_source import EventSource, event_source
from tests.support.events import event
from tests.support.folded import JOBS
from tests.support.streams import streaming

OWNER = "owner=0x1111"
JOB = "watched"


async def report(deployment: Deployment, stage: str) -> None:
    """Have a stage of the watched job reported."""
    await deployment.send(event(stage, job=JOB, event_id=f"{JOB}-{stage}"), 0)


def last_snapshot(source: EventSource) -> set[str]:
    """Return the names of the jobs of the last snapshot, all parts of it."""
    names: set[str] = set()
    for name, data, _ in source.events:
        if name == "reset":
            names = set()
        if name == "snapshot":
            jobs = data if isinstance(data, list) else data["jobs"]
            names |= {item["job"]["jobId"] for item in jobs}
    return names


@pytest.mark.long(40)
async def test_streams_go_through_a_rebuild_a_rollback_and_a_drop(folded: Deployment) -> None:
    """Each switch is a reset with a whole snapshot; no job goes back, and what is reported after it is told."""
    api = await asyncio.to_thread(folded.start_api)
    async with event_source(api, OWNER) as source, event_source(api, f"jobId={JOB}") as of_one:
        await source.is_joined()
        await of_one.is_joined()
        await report(folded, "started")
        with streaming(folded):
            for command, stage, status in (
                (("rebuild",), "configuring", 2),
                (("generations", "rollback"), "running", 3),
                (("generations", "drop", "2", "--wait", "1"), "uploading", 4),
            ):
                await asyncio.to_thread(folded.command, "projector", *command)
                await report(folded, stage)
                await source.tells(JOB, status)
                await of_one.tells(JOB, status)
                assert last_snapshot(source) >= {f"job-{number}" for number in range(JOBS)}
        assert [reset["reason"] for reset in source.named("reset")] == ["other-generation"] * 2
        await report(folded, "finished")
        await of_one.has("end")
    for stream in (source, of_one):
        told = stream.statuses_of(JOB)
        assert told == sorted(told)


@pytest.mark.long(25)
async def test_a_projector_that_stops_is_told_and_one_that_starts_too(deployment: Deployment) -> None:
    """Streams say that nobody confirms what they show, stay open, and go on without a snapshot."""
    projector = await asyncio.to_thread(deployment.start_projector)
    api = await asyncio.to_thread(deployment.start_api)
    await report(deployment, "started")
    await asyncio.to_thread(deployment.wait_until_applied)
    async with event_source(api, f"jobId={JOB}") as source:
        await source.tells(JOB, 1)
        await asyncio.to_thread(deployment.stop, projector)
        await report(deployment, "running")
        (stale,) = await source.has("stale")
        assert stale["lag"] is None
        await asyncio.to_thread(deployment.start_projector)
        await source.tells(JOB, 3)
        await source.has("fresh")
        assert source.told == ["snapshot", "status"]
