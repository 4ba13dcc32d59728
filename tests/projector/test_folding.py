"""From polled records to batches."""

from dataclasses import replace

import pytest
from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from projector.assignment.partition import Partition, fingerprint_of
from projector.fold.batch import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, Batch
from projector.fold.batches import batches
from schemas.decode import decode
from schemas.redis_layout import SEPARATOR
from tests.support.events import PolledRecord, event, record


def partition(stored: list[int], number: int = 0) -> Partition:
    """Return a partition whose buckets stand at these positions."""
    return Partition(TopicPartition("t", number), stored, min(stored), leader=1)


async def collect(one: Partition, records: list[PolledRecord], position: int) -> list[Batch]:
    """Return the batches that the records of one partition give."""
    return [batch async for batch in batches([(one, records, position)])]


async def test_what_cannot_be_understood_is_set_aside() -> None:
    """A bad record becomes a letter and the good ones around it are folded."""
    records = [record(0, event()), record(1, b"rubbish"), record(2, event("finished", event_id="e2"))]
    (batch,) = await collect(partition([0]), records, 3)
    (span,) = batch.spans
    assert (span.start, span.next, span.records, span.dead_letters, span.no_record) == (0, 3, 3, 1, 0)
    assert [letter.record.offset for letter in batch.letters] == [1]
    assert [set(job.stages) for job in batch.folded_jobs()] == [{"started", "finished"}]
    assert span.fingerprint == fingerprint_of(records[-1])


@pytest.mark.parametrize("key", [None, b"", b"another job", b"\xff"], ids=repr)
async def test_the_key_of_a_record_means_nothing(key: bytes | None) -> None:
    """Whose event it is stands in the event: a key that is null, no text or another job's changes nothing."""
    polled = record(0, event())
    (batch,), (other,) = [await collect(partition([0]), [one], 1) for one in (polled, replace(polled, key=key))]
    assert other.folded_jobs() == batch.folded_jobs()
    assert not other.letters


async def test_members_that_are_not_given_leave_no_register() -> None:
    """An empty member takes nothing away from what other reports said, and an error alone says that the job failed."""
    earlier = event("running", outputsURL=["http://e/o"], message="50 %")
    last = event("finished", event_id="e2", outputsURL=[], message="", outcome=None, error="out of memory")
    (batch,) = await collect(partition([0]), [record(0, earlier), record(1, last)], 2)
    (job,) = batch.folded_jobs()
    values = {name: register.split(SEPARATOR, 3)[-1] for name, register in job.details.items()}
    assert values == {
        "outputsURL": '["http://e/o"]',
        "message": "50 %",
        "outcome": "failed",
        "error": "out of memory",
    }


async def test_offsets_without_a_record_are_passed_and_counted() -> None:
    """Holes in the log, between records and at the end, are moved past and appear in the ledger."""
    (batch,) = await collect(partition([0]), [record(2, event()), record(5, event())], 9)
    (span,) = batch.spans
    assert (span.start, span.next, span.records, span.no_record) == (0, 9, 2, 7)


async def test_a_poll_without_records_still_moves() -> None:
    """When only offsets without a record were passed, the position moves on."""
    (batch,) = await collect(partition([4]), [], 6)
    assert (batch.spans[0].start, batch.spans[0].next, batch.spans[0].no_record) == (4, 6, 2)


async def test_batches_are_bounded_in_records() -> None:
    """No batch has more records than its limit, and nothing is lost between them."""
    count = 2 * MAX_BATCH_RECORDS + 10
    made = await collect(partition([0]), [record(offset, event()) for offset in range(count)], count)
    assert [batch.records for batch in made] == [MAX_BATCH_RECORDS, MAX_BATCH_RECORDS, 10]


async def test_batches_are_bounded_in_bytes() -> None:
    """Large records make smaller batches."""
    large = record(0, event(message="x" * 900, algologURL="http://e/" + "y" * 2000))
    assert large.value is not None
    count = 2 * MAX_BATCH_BYTES // len(large.value)
    made = await collect(partition([0]), [replace(large, offset=offset) for offset in range(count)], count)
    assert len(made) > 1
    assert all(batch.size_bytes < MAX_BATCH_BYTES + len(large.value) for batch in made)
    assert sum(batch.records for batch in made) == count


@settings(max_examples=50)
@given(st.lists(st.integers(0, 59), min_size=1, max_size=4), st.sets(st.integers(0, 59)))
async def test_every_bucket_takes_all_of_a_span_or_nothing(stored: list[int], holes: set[int]) -> None:
    """Spans follow each other without a gap and never straddle the position of a bucket that stands further."""
    one = partition(stored)
    start = one.next
    records = [record(offset, event()) for offset in range(start, 60) if offset not in holes]
    made: list[Batch] = []
    while one.next < 60:
        remaining = [item for item in records if item.offset >= one.next]
        made += [batch async for batch in batches([(one, remaining, 60)])]
    spans = [span for batch in made for span in batch.spans]
    assert [span.start for span in spans] == [start, *(span.next for span in spans[:-1])]
    assert spans[-1].next == 60
    for position in stored:
        assert not any(span.start < position < span.next for span in spans)


def test_the_fingerprint_depends_on_offset_key_and_value() -> None:
    """Another record at the same offset, or the same record elsewhere, has another fingerprint."""
    one = record(7, b"value")
    others = [replace(one, offset=8), replace(one, value=b"valuf"), replace(one, key=b"3334"), replace(one, value=None)]
    assert len({fingerprint_of(item) for item in (one, *others)}) == len(others) + 1


def test_packed_jobs_land_in_the_bucket_of_their_identity() -> None:
    """Every attempt of a job is in one bucket, and all buckets together hold every job once."""
    batch = Batch()
    batch.span_of("t/0", 0)
    for number in range(40):
        item = record(number, event(job=f"job-{number % 20}", attempt=1 + number // 20))
        batch.add(decode(item.value, item.headers, item.timestamp), 0, "t/0/0")
    buckets = batch.encode(4)
    members = [[job[0] for job in jobs] for jobs in buckets]
    assert sum(len(jobs) for jobs in members) == 40
    digests = [{str(member)[:22] for member in jobs} for jobs in members]
    assert sum(len(group) for group in digests) == 20
