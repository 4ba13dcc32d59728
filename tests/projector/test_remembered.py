"""What is kept beside the earliest report of a stage: signs of life, and refused events; on a real Redis."""

from random import Random
from typing import Any

import pytest
from redis.asyncio import Redis

from projector.fold.batch import Batch
from projector.fold.record import RefusedRecord
from projector.store import apply
from projector.store.live import Live
from schemas import refused_event
from schemas.decode import RefusedEventError, decode, named_job
from schemas.redis_layout import bucket_prefix
from schemas.refused_event import RefusedEvent
from tests.support.batched import JOB, batch_of, dump
from tests.support.events import PolledRecord, event, record
from tests.support.opening import LOG, known


async def test_signs_of_life_are_the_same_for_every_split(redis: Redis, prefix: str) -> None:
    """The last news is that of the furthest stage that was repeated, however its reports are divided and ordered."""
    reports = [
        ("started", "01:00:01"), ("started", "01:00:09"), ("running", "01:00:02"), ("running", "01:00:05"),
        ("running", "01:00:02"), ("running", "01:00:03"), ("uploading", "01:00:04"),
    ]  # fmt: skip
    events = [
        event(stage, event_id=f"e{number}", time=f"2020-10-01T{time}Z") for number, (stage, time) in enumerate(reports)
    ]
    random, contents = Random(1), []
    for name in range(12):
        store = Live(redis, f"{prefix}:{name}", LOG)
        await store.open(known({}))
        shuffled = random.sample(events, len(events))
        at = 0
        while at < len(shuffled):
            size = random.randint(1, 3)
            await store.apply(batch_of(*shuffled[at : at + size], start=at))
            at += size
        contents.append(await dump(redis, f"{prefix}:{name}"))
    said = [content[f"job:{JOB}"][b"news"] for content in contents]  # type: ignore[index]
    assert said == [b"03\t2020-10-01T01:00:05.000000"] * len(contents)


async def test_refused_events_are_remembered_the_same_for_every_split(
    redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each job the newest are remembered, and of all together, however they are divided and ordered."""
    for module in (apply, refused_event):
        monkeypatch.setattr(module, "MAX_REFUSED", 3)
        monkeypatch.setattr(module, "MAX_REFUSED_OF_BUCKET", 7)
    values = [event("running", attempt=0), event("running", job="4444", source=""), event(job="5555", message=7)]
    records = [record(offset, {**values[offset % 3], "id": ""}) for offset in range(30)]
    for number, one in enumerate(records):
        one.timestamp += number % 4
    random, contents = Random(1), []
    for name in range(6):
        store = Live(redis, f"{prefix}:{name}", LOG)
        await store.open(known({}))
        shuffled, at = random.sample(records, len(records)), 0
        while at < len(shuffled):
            size = random.randint(1, 9)
            await store.apply(refusals(shuffled[at : at + size], at))
            at += size
        base = bucket_prefix(f"{prefix}:{name}", 1, 0)
        times: Any = await redis.zrange(base + "refused-times", 0, -1, withscores=True)
        of_jobs: Any = await redis.zrange(base + "refused", 0, -1)
        contents.append({entry.decode(): int(score) for entry, score in times})
        assert {entry.decode() for entry in of_jobs} == set(contents[-1])
    entries = [one.entry for one in map(remembered_of, records) if one]
    assert contents == [refused_event.newest(entries)] * 6
    assert len(contents[0]) == 6


def refusals(records: list[PolledRecord], start: int) -> Batch:
    """Return a batch of records that are refused, as if they stood at the offsets from `start` on."""
    batch = batch_of(*[b"refused"] * len(records), start=start)
    batch.refused = [refused_record(one) for one in records]
    return batch


def refused_record(one: PolledRecord) -> RefusedRecord:
    """Return what became of a record that must be refused."""
    with pytest.raises(RefusedEventError) as caught:
        decode(one.value, one.headers, one.timestamp)
    reason = caught.value.reason
    return RefusedRecord(one, reason, "", named_job(one.value, one.headers, reason))


def remembered_of(one: PolledRecord) -> RefusedEvent | None:
    """Return what is to be remembered of a refused record."""
    return refused_record(one).remembered


async def test_refused_events_need_no_sound_key(store: Live, redis: Redis, prefix: str) -> None:
    """A key of a wrong type in their place stops nobody: it is made anew, and jobs and position move."""
    base = bucket_prefix(prefix, 1, 0)
    for name in ("refused", "refused-times"):
        await redis.set(base + name, "not ours")
    await store.apply(refusals([record(0, {**event(), "id": ""})], 0))
    assert await redis.zcard(base + "refused") == await redis.zcard(base + "refused-times") == 1
    assert (await store.generation.standings(["t/0"]))["t/0"].next == (1,)


async def test_a_repetition_of_the_same_moment_is_no_news(store: Live, redis: Redis, prefix: str) -> None:
    """A report that arrives twice, or is told by two workers for the same moment, is no sign of life."""
    await store.apply(batch_of(event(), event(event_id="e0")))
    await store.apply(batch_of(event(), start=2))
    job = (await dump(redis, prefix))[f"job:{JOB}"]
    assert isinstance(job, dict)
    assert b"news" not in job
