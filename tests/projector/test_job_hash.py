"""How the hash of a job holds its registers: a law of values, and the same rule in the script that joins jobs."""

from collections.abc import Mapping
from random import Random

import pytest
from redis.asyncio import Redis

from projector.fold.batch import Batch
from projector.fold.job import FoldedJob
from projector.fold.stored_job import fields_of, job_of
from projector.store.live import Live
from schemas.diagnosis.history import history_of
from schemas.expiry import is_expired
from schemas.identity import JobIdentity, job_member
from schemas.job_event import JobEvent
from schemas.job_hash import MOST_CUT_BYTES, PIECE_BYTES, fields_in, hash_of
from schemas.job_status import StoredJob, View, render
from schemas.lifecycle import STAGE_BY_NAME
from schemas.redis_layout import CARRIED, STORED_FIELDS, bucket_prefix
from schemas.stored_job import check_stored, row_of
from tests.support.long_reports import reports_of

JOBS = 400
SEEDS = range(4)
Report = tuple[JobEvent, str]


def reports_of_jobs(random: Random) -> list[list[Report]]:
    """Return some reports of each of many jobs."""
    return [reports_of(random, number) for number in range(JOBS)]


def fold(reports: list[Report]) -> FoldedJob:
    """Return the job that these reports give."""
    job = FoldedJob(reports[0][0].identity)
    for event, recorded in reports:
        job.add(event, recorded)
    return job


def test_a_hash_holds_what_the_registers_say() -> None:
    """Registers are written into a hash and read from it unchanged, whatever their texts."""
    for seed in SEEDS:
        for reports in reports_of_jobs(Random(seed)):
            job = fold(reports)
            fields = fields_of(job)
            stored = hash_of(fields)
            assert fields_in(stored) == fields
            assert job_of(fields_in(stored), job_member(job.identity).encode()) == job


def test_a_hash_stays_in_its_compact_form() -> None:
    """No value of a hash is longer than Redis' default allows, unless it is very long, or no ASCII."""
    for reports in reports_of_jobs(Random(1)):
        job = fold(reports)
        for name, text in hash_of(fields_of(job)).items():
            is_identity = name in {"owner", "agreementId", "jobId"}
            assert len(text) <= PIECE_BYTES or len(text) > MOST_CUT_BYTES or not text.isascii() or is_identity


def row_in(stored: Mapping[str, str]) -> StoredJob:
    """Return the values of a stored job as the script that reads them answers, each register whole."""
    row: list[bytes | None] = []
    for name in STORED_FIELDS:
        text, number = stored.get(name), 2
        while text and f"{name}:{number}" in stored:
            text, number = text + stored[f"{name}:{number}"], number + 1
        row.append(None if text is None else text.encode())
    return row


def test_what_is_shown_of_a_hash_is_what_the_registers_say() -> None:
    """Status, history and expiry of a job are the same of its hash as of its registers, at every moment."""
    views = [View(is_admin=True), *(View(as_of=f"2020-10-01T01:00:0{second}.000000") for second in range(3))]
    for reports in reports_of_jobs(Random(4)):
        fields = fields_of(fold(reports))
        plain, row = row_of(fields), row_in(hash_of(fields))
        assert check_stored(row) == check_stored(plain) == reports[0][0].identity
        for view in views:
            assert render(row, view) == render(plain, view)
            assert history_of(row, view.as_of) == history_of(plain, view.as_of)
            cutoff = (view.as_of or "").encode()
            assert is_expired(row, cutoff) == is_expired(plain, cutoff)


def test_a_detail_whose_stage_is_gone_is_damage() -> None:
    """Nobody knows when a detail was reported that has its time from a stage which is not there."""
    job = FoldedJob(JobIdentity("0x1111", "0x2222", "3333", 1))
    for name, details in (("started", {}), ("finished", {"outcome": "failed"})):
        job.add(JobEvent(job.identity, STAGE_BY_NAME[name], "2020-10-01T01:00:00.000000", "/w", name, details), "t/0/7")
    stored = hash_of(fields_of(job))
    assert stored["outcome"] == "05=failed"
    del stored["finished"]
    with pytest.raises(ValueError, match="a detail is of a stage that is not there"):
        check_stored(row_in(stored))
    with pytest.raises(ValueError, match="a detail is of a stage that is not there"):
        job_of(fields_in(stored))


def batch_of(reports: list[Report], start: int) -> Batch:
    """Return a batch of these reports, as if they stood in the log from `start` on."""
    batch = Batch()
    index, span = batch.span_of("t/0", start, (start,))
    for event, recorded in reports:
        batch.add(event, index, recorded)
    span.records, span.next = len(reports), start + len(reports)
    return batch


@pytest.mark.parametrize("seed", range(4))
async def test_the_script_joins_as_the_fold_does(seed: int, store: Live, redis: Redis, prefix: str) -> None:
    """However the reports of jobs are divided into batches, each hash is that of all its reports, byte for byte."""
    random = Random(seed)
    jobs = reports_of_jobs(random)
    start, rests = 0, [reports.copy() for reports in jobs]
    while any(rests):
        batch: list[Report] = []
        for rest in rests:
            taken = random.randint(0, 2)
            batch += rest[:taken]
            del rest[:taken]
        await store.apply(batch_of(batch, start))
        start += len(batch)
    base = bucket_prefix(prefix, 1, 0) + "job:"
    for reports in jobs:
        job = fold(reports)
        stored = await redis.hgetall(base + job_member(job.identity))
        expected = {name.encode(): text.encode() for name, text in hash_of(fields_of(job)).items()}
        assert stored == expected


async def test_what_was_carried_over_stays(store: Live, redis: Redis, prefix: str) -> None:
    """Joining reports into a job that was carried over leaves the mark of that."""
    reports = reports_of_jobs(Random(3))[0]
    await store.apply(batch_of(reports[:1], 0))
    key = f"{bucket_prefix(prefix, 1, 0)}job:{job_member(reports[0][0].identity)}"
    await redis.hset(key, CARRIED, "g7")
    for at, report in enumerate(reports[1:], 1):
        await store.apply(batch_of([report], at))
    fields = fields_of(fold(reports)) | {CARRIED: "g7"}
    assert await redis.hgetall(key) == {name.encode(): text.encode() for name, text in hash_of(fields).items()}
