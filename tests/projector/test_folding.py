"""From polled records to batches."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projector.fold.batch import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_SENT_CHARACTERS, MAX_STEP_JOBS, Batch
from projector.fold.batches import SLICE_BYTES, SLICE_RECORDS, Stretch, batches
from projector.fold.record import fingerprint_of
from projector.store.apply import encode
from schemas.decode import decode
from schemas.registers import SEPARATOR
from tests.support.events import PolledRecord, event, record


def folded(records: list[PolledRecord], to: int, *stored: int) -> list[Batch]:
    """Return the batches that a partition's records give up to an offset, from where these buckets stand on."""
    stretch = Stretch("t/0", min(stored), to, stored, records)
    return [batch for batch in batches([stretch]) if batch]


def test_what_cannot_be_understood_is_set_aside() -> None:
    """A bad record becomes a letter and the good ones around it are folded."""
    records = [record(0, event()), record(1, b"rubbish"), record(2, event("finished", event_id="e2"))]
    (batch,) = folded(records, 3, 0)
    (span,) = batch.spans
    assert (span.start, span.next, span.records, span.dead_letters, span.no_record) == (0, 3, 3, 1, 0)
    assert [refused.record.offset for refused in batch.refused] == [1]
    assert [set(known.job.stages) for known in batch.jobs] == [{"started", "finished"}]
    assert span.fingerprint == fingerprint_of(records[-1])


@pytest.mark.parametrize("key", [None, b"", b"another job", b"\xff"], ids=repr)
def test_the_key_of_a_record_means_nothing(key: bytes | None) -> None:
    """Whose event it is stands in the event: a key that is null, no text or another job's changes nothing."""
    polled = record(0, event())
    (batch,), (other,) = [folded([one], 1, 0) for one in (polled, replace(polled, key=key))]
    assert [known.job for known in other.jobs] == [known.job for known in batch.jobs]
    assert not other.refused


def test_members_that_are_not_given_leave_no_register() -> None:
    """An empty member takes nothing away from what other reports said, and an error alone says that the job failed."""
    earlier = event("running", outputsURL=["http://e/o"], message="50 %")
    last = event("finished", event_id="e2", outputsURL=[], message="", outcome=None, error="out of memory")
    (batch,) = folded([record(0, earlier), record(1, last)], 2, 0)
    (job,) = [known.job for known in batch.jobs]
    values = {name: register.split(SEPARATOR, 3)[-1] for name, register in job.details.items()}
    assert values == {
        "outputsURL": '["http://e/o"]',
        "message": "50 %",
        "outcome": "failed",
        "error": "out of memory",
    }


def test_offsets_without_a_record_are_passed_and_counted() -> None:
    """Holes in the log, between records and at the end, are moved past and appear in the ledger."""
    (batch,) = folded([record(2, event()), record(5, event())], 9, 0)
    (span,) = batch.spans
    assert (span.start, span.next, span.records, span.no_record) == (0, 9, 2, 7)


def test_a_poll_without_records_still_moves() -> None:
    """When only offsets without a record were passed, the position moves on."""
    (batch,) = folded([], 6, 4)
    assert (batch.spans[0].start, batch.spans[0].next, batch.spans[0].no_record) == (4, 6, 2)


def test_batches_are_bounded_in_records() -> None:
    """No batch has more records than its limit, and nothing is lost between them."""
    count = 2 * MAX_BATCH_RECORDS + 10
    made = folded([record(offset, event()) for offset in range(count)], count, 0)
    assert [batch.records for batch in made] == [MAX_BATCH_RECORDS, MAX_BATCH_RECORDS, 10]


def test_batches_are_bounded_in_bytes() -> None:
    """Large records make smaller batches."""
    large = record(0, b" " * 10_000)
    count = 2 * MAX_BATCH_BYTES // 10_000
    made = folded([replace(large, offset=offset) for offset in range(count)], count, 0)
    assert len(made) > 1
    assert all(batch.size_bytes < MAX_BATCH_BYTES + 10_000 for batch in made)
    assert sum(batch.records for batch in made) == count


async def test_batches_are_bounded_in_what_is_sent() -> None:
    """Large jobs make smaller batches, and no more is sent of one than was counted."""
    count = 2 * MAX_SENT_CHARACTERS // 3_000
    details = {"message": "x" * 900, "algologURL": "http://e/" + "y" * 2000}
    made = folded([record(offset, event(job=f"job-{offset}", **details)) for offset in range(count)], count, 0)
    assert len(made) > 1
    for batch in made:
        assert batch.sent_characters < MAX_SENT_CHARACTERS + SLICE_BYTES
        sent = sum(len(text) for job in (await encode(batch, 1, {}))[0] for text in job if isinstance(text, str))
        assert sent < batch.sent_characters + 200 * len(batch.jobs)  # what all jobs have, as the names of fields
    assert sum(batch.records for batch in made) == count


def test_batches_are_bounded_in_jobs() -> None:
    """Reports of one job are one job to Redis, so that many of them fit; of so many jobs no more are added."""
    few, count = 100, MAX_BATCH_RECORDS
    made = folded([record(offset, event(job=f"job-{offset % few}")) for offset in range(count)], count, 0)
    assert [(batch.records, len(batch.jobs)) for batch in made] == [(count, few)]
    made = folded([record(offset, event(job=f"job-{offset}")) for offset in range(count)], count, 0)
    assert {len(batch.jobs) for batch in made} == {MAX_STEP_JOBS}
    made = folded([record(offset, b"rubbish") for offset in range(count)], count, 0)
    assert {len(batch.refused) for batch in made} == {MAX_STEP_JOBS}


def test_a_batch_of_many_jobs_ends_with_its_partition() -> None:
    """The next partition's jobs are others, so they wait for a batch of their own; a few go together."""
    sizes = (MAX_STEP_JOBS - 100, 10, 20, MAX_STEP_JOBS - 100, 30)
    stretches = []
    for number, size in enumerate(sizes):
        records = [record(offset, event(job=f"{number}-{offset}")) for offset in range(size)]
        stretches.append(Stretch(f"t/{number}", 0, size, (0,), records))
    made = [[span.partition for span in batch.spans] for batch in batches(stretches) if batch]
    assert made == [["t/0"], ["t/1", "t/2", "t/3"], ["t/4"]]


def test_the_caller_has_a_turn_between_slices() -> None:
    """No more than a slice is folded at a time, within a batch and where one ends."""
    count = MAX_BATCH_RECORDS + SLICE_RECORDS
    folding = batches([Stretch("t/0", 0, count, (0,), [record(offset, event()) for offset in range(count)])])
    turns = [batch.records if batch else None for batch in folding]
    assert turns == [*[None] * (MAX_BATCH_RECORDS // SLICE_RECORDS - 1), MAX_BATCH_RECORDS, None, SLICE_RECORDS]


def test_the_caller_has_a_turn_after_what_is_large() -> None:
    """A slice ends when it has so many bytes, whatever number of records that takes, for they may take long."""
    large = record(0, b" " * (SLICE_BYTES // 2))
    folding = batches([Stretch("t/0", 0, 5, (0,), [replace(large, offset=offset) for offset in range(5)])])
    assert [batch.records if batch else None for batch in folding] == [None, None, None, 5]


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(st.integers(0, 59), min_size=1, max_size=4), st.sets(st.integers(0, 59)))
def test_every_bucket_takes_all_of_a_span_or_nothing(stored: list[int], holes: set[int]) -> None:
    """Spans follow each other without a gap and never straddle the position of a bucket that stands further."""
    start = min(stored)
    records = [record(offset, event()) for offset in range(start, 60) if offset not in holes]
    spans = [span for batch in folded(records, 60, *stored) for span in batch.spans]
    assert [span.start for span in spans] == [start, *(span.next for span in spans[:-1])]
    assert spans[-1].next == 60
    assert sum(span.records for span in spans) == len(records)
    for bucket, position in enumerate(stored):
        assert not any(span.start < position < span.next for span in spans)
        assert [span for span in spans if span.is_due(bucket)] == [span for span in spans if span.start >= position]


def test_the_fingerprint_depends_on_offset_key_and_value() -> None:
    """Another record at the same offset, or the same record elsewhere, has another fingerprint."""
    one = record(7, b"value")
    others = [replace(one, offset=8), replace(one, value=b"valuf"), replace(one, key=b"3334"), replace(one, value=None)]
    assert len({fingerprint_of(item) for item in (one, *others)}) == len(others) + 1


async def test_packed_jobs_land_in_the_bucket_of_their_identity() -> None:
    """Every attempt of a job is in one bucket, and all buckets together hold every job once."""
    batch = Batch()
    batch.span_of("t/0", 0, (0,) * 4)
    for number in range(40):
        item = record(number, event(job=f"job-{number % 20}", attempt=1 + number // 20))
        batch.add(decode(item.value, item.headers, item.timestamp), 0, "t/0/0")
    buckets = await encode(batch, 4, {})
    members = [[job[0] for job in jobs] for jobs in buckets]
    assert sum(len(jobs) for jobs in members) == 40
    digests = [{str(member)[:22] for member in jobs} for jobs in members]
    assert sum(len(group) for group in digests) == 20
