"""Where a snapshot and the changes join: what happens between two steps of a stream, each made to happen there."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from api.projection.lookup import Changed, Changes
from api.projection.reader import Reader
from api.streams.reading import Part, Reading
from tests.support.applying import Applying
from tests.support.client import Client
from tests.support.event_source import event_source
from tests.support.events import event
from tests.support.seeding import Projection
from tests.support.waiting import until

OWNER = "owner=0x1111"
MANY = 600
LATE_SECONDS = 0.5  # an end that is said too early is said at once


@pytest.fixture
async def applying(redis: Any, projection: Projection) -> Applying:
    """What applies events to the test's own projection."""
    await projection.delete()
    applying = Applying(redis, projection.prefix)
    await applying.open()
    return applying


class Gate:
    """Holds whoever comes to it while it is closed."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.held = 0

    def close(self) -> None:
        """Hold who comes."""
        self._open.clear()

    def open(self) -> None:
        """Let all go."""
        self._open.set()

    async def pass_through(self) -> None:
        """Wait until it is open."""
        self.held += not self._open.is_set()
        await self._open.wait()

    async def holds_somebody(self) -> None:
        """Return when somebody waits."""

        async def waits() -> bool:
            return self.held > 0

        await until(waits, "somebody waits at the gate")


@pytest.fixture
def snapshots(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gate behind each part of a snapshot that was read, before it is told."""
    gate, snapshot = Gate(), Reading.snapshot

    async def held(self: Reading, scan: Any, view: Any) -> AsyncGenerator[Part, None]:
        async for part in snapshot(self, scan, view):
            await gate.pass_through()
            yield part

    monkeypatch.setattr(Reading, "snapshot", held)
    return gate


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gate behind each answer that the follower gets, before it is told."""
    gate, ask = Gate(), Reader.ask_changes

    def held(self: Reader, bucket: Any, changes: Changes) -> asyncio.Future[Changed]:
        async def late() -> Changed:
            answer = await ask(self, bucket, changes)
            if not changes.indexes and answer.rows:
                await gate.pass_through()
            return answer

        return asyncio.ensure_future(late())

    monkeypatch.setattr(Reader, "ask_changes", held)
    return gate


async def test_what_changes_after_a_snapshot_was_read_is_told_after_it(
    api: Client, applying: Applying, snapshots: Gate
) -> None:
    """A change that the follower tells while the snapshot is on its way comes behind the snapshot."""
    await applying.report("started", "a")
    async with event_source(api, OWNER) as other:
        await other.is_joined()
        snapshots.close()
        async with event_source(api, OWNER) as source:
            await snapshots.holds_somebody()
            await applying.report("running", "a")
            await other.has("status")
            snapshots.open()
            await source.has("status")
            assert source.statuses_of("a") == [1, 3]


async def test_what_was_known_before_the_snapshot_is_not_told_after_it(
    api: Client, applying: Applying, answers: Gate
) -> None:
    """An answer that the follower got before a stream read its snapshot, and tells only then, takes nothing back."""
    async with event_source(api, OWNER) as other:
        await other.is_joined()
        answers.close()
        await applying.report("started", "a")
        await answers.holds_somebody()
        await applying.report("running", "a")
        async with event_source(api, OWNER) as source:
            await source.is_joined()
            assert source.statuses_of("a") == [3]
            answers.open()
            await applying.report("finished", "a")
            await source.has("status")

            async def has_finished() -> bool:
                return source.statuses_of("a")[-1] == 5

            await until(has_finished, "the end is told")
            assert source.statuses_of("a") == sorted(source.statuses_of("a"))


async def test_what_changes_between_two_parts_of_a_snapshot_is_told(
    api: Client, applying: Applying, snapshots: Gate
) -> None:
    """A job of an earlier part that changes is told behind the snapshot, one of a later part is not taken back."""
    times = [f"2020-10-01T01:{number // 60:02}:{number % 60:02}Z" for number in range(MANY)]
    jobs = [event(job=f"job-{number}", event_id=str(number), time=times[number]) for number in range(MANY)]
    for start in range(0, MANY, 90):
        await applying.apply(*jobs[start : start + 90])
    newest = f"job-{MANY - 1}"
    async with event_source(api, f"{OWNER}&from=now") as other:
        await other.is_joined()
        snapshots.close()
        async with event_source(api, OWNER) as source:
            await snapshots.holds_somebody()
            await applying.report("running", newest, time="2020-10-01T02:00:00Z")
            await applying.report("running", "job-0", time="2020-10-01T02:00:00Z")
            await other.has("status", 2)
            await applying.report("finished", "job-0", time="2020-10-01T02:00:01Z")
            snapshots.open()
            await source.is_joined()
            await source.has("status")
            assert source.statuses_of(newest) == [1, 3]
            assert set(source.statuses_of("job-0")) == {5}


async def test_who_has_a_part_of_a_snapshot_is_told_to_forget_it(api: Client, applying: Applying) -> None:
    """A client that is cut between two parts begins again: what went meanwhile must not stay with it."""
    for start in range(0, MANY, 90):
        jobs = range(start, min(start + 90, MANY))
        await applying.apply(*[event(job=f"job-{number}", event_id=str(number)) for number in jobs])
    async with event_source(api, OWNER) as source:
        await source.is_joined()
    first, last = source.events[0], source.events[-1]
    assert not first.data["last"]
    assert last.data["last"]
    async with event_source(api, OWNER, Last_Event_ID=first.id or "") as again:
        await again.is_joined()
        assert again.named("reset") == [{"reason": "interrupted"}]
        assert sum(len(part["jobs"]) for part in again.named("snapshot")) == MANY
    async with event_source(api, OWNER, Last_Event_ID=last.id or "") as again:
        await again.is_joined()
        assert again.told == []


async def test_the_end_is_not_said_before_the_client_was_told_what_has_ended(
    api: Client, applying: Applying, snapshots: Gate, answers: Gate
) -> None:
    """A job that finishes after the snapshot was read is told as finished before its end, however late that is told."""
    await applying.report("started", "a")
    snapshots.close()
    async with event_source(api, "jobId=a") as source:
        await snapshots.holds_somebody()
        answers.close()
        await applying.report("finished", "a")
        await answers.holds_somebody()
        snapshots.open()
        await source.is_joined()
        await asyncio.sleep(LATE_SECONDS)
        assert source.named("end") == []
        answers.open()
        await source.has("end")
        assert source.statuses_of("a") == [1, 5]
