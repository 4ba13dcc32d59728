"""The timeline: how a job got where it stands."""

from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from schemas import job_timeline
from schemas.gone_job import gone_entry, gone_keys
from schemas.job_hash import PIECE_BYTES, hash_of
from schemas.redis_layout import CUTOFF, CUTOFF_RAISED, JOB, KEPT_FOR, REFUSED, pointer_key
from schemas.registers import stage_register
from tests.support.client import TIMELINE, Client, StartApi, next_page
from tests.support.seeding import FINISHED_JOB, PARTITION, Job, Projection

FAILED = Job(
    job_id="4444",
    attempt=2,
    stages={"started": "2020-10-01T02:00:00Z", "finished": "2020-10-01T03:00:00.5Z"},
    details={"message": "line\tone", "outcome": "failed", "error": "out of memory"},
    detail_time="2020-10-01T03:00:00.5Z",
)

FINISHED_JOB_OF_ANOTHER_NAME = replace(FINISHED_JOB, job_id="5555")


async def test_every_reported_stage_is_told(api: Client, projection: Projection) -> None:
    """Each stage that was reported is told with its date, its worker and the report's id, in the lifecycle's order."""
    await projection.put([FINISHED_JOB, FAILED])
    failed, finished = (await api.get(f"{TIMELINE}?owner=0x1111")).json()
    for job in (failed, finished):
        jsonschema_rs.validate(dict(job_timeline.SCHEMA), job)
    assert [stage["status"] for stage in finished["stages"]] == [1, 2, 3, 4, 5]
    assert [stage["durationSeconds"] for stage in finished["stages"]] == [60, 60, 60, 60, 0]
    diagnosis = failed.pop("diagnosis")
    assert [(one["code"], one["since"]) for one in diagnosis] == [("JOB:FAILED", "2020-10-01T03:00:00Z")]
    assert failed == {
        "owner": "0x1111",
        "agreementId": "0x2222",
        "jobId": "4444",
        "attempt": 2,
        "status": 5,
        "statusText": "Job finished",
        "dateCreated": "2020-10-01T02:00:00Z",
        "dateFinished": "2020-10-01T03:00:00Z",
        "expiresAt": None,
        "stages": [
            {
                "status": 1,
                "statusText": "Job started",
                "date": "2020-10-01T02:00:00Z",
                "durationSeconds": 3600.5,
                "expectedBy": None,
                "source": "/workers/gpu-7",
                "eventId": "started-1",
                "record": None,
                "recordedAt": None,
            },
            {
                "status": 5,
                "statusText": "Job finished",
                "date": "2020-10-01T03:00:00Z",
                "durationSeconds": 0,
                "expectedBy": None,
                "source": "/workers/gpu-7",
                "eventId": "finished-1",
                "record": None,
                "recordedAt": None,
            },
        ],
        "outcome": "failed",
        "message": "line\tone",
        "error": "out of memory",
        "refused": [],
    }


async def test_a_finished_job_has_succeeded_unless_it_says_otherwise(api: Client, projection: Projection) -> None:
    """A job that finished without an outcome has succeeded; one that has not finished has no outcome yet."""
    await projection.put([FINISHED_JOB, Job(job_id="5555")])
    outcomes = {job["jobId"]: job["outcome"] for job in (await api.get(f"{TIMELINE}?owner=0x1111")).json()}
    assert outcomes == {"3333": "succeeded", "5555": None}


async def test_only_admins_see_where_a_report_is_in_the_log(api: Client, projection: Projection) -> None:
    """The place of each report in the log, and when it was recorded there, are for admins."""
    await projection.put([Job(delay_milliseconds=65_000)])
    for query, recorded_at in (("", "2020-10-01T01:01:05Z"), ("&dates=unix", 1601514065)):
        target = f"{TIMELINE}?owner=0x1111{query}"
        [job] = (await api.get(target, Authorization="Bearer sesame-sesame-16")).json()
        assert job["stages"][0]["record"] == f"{PARTITION}/7"
        assert job["stages"][0]["recordedAt"] == recorded_at
        [job] = (await api.get(target)).json()
        assert (job["stages"][0]["record"], job["stages"][0]["recordedAt"]) == (None, None)


async def test_as_of_dates_and_pages_work_as_for_the_status(api: Client, projection: Projection) -> None:
    """The timeline takes the same parameters as the status, and means the same by them."""
    await projection.put([FINISHED_JOB, FAILED])
    [job] = (await api.get(f"{TIMELINE}?owner=0x1111&asOf=2020-10-01T01:02:30Z&dates=unix")).json()
    assert [stage["date"] for stage in job["stages"]] == [1601514000, 1601514060, 1601514120]
    assert (job["status"], job["outcome"]) == (3, None)
    [job] = (await api.get(f"{TIMELINE}?jobId=4444&asOf=2020-10-01T02:30:00Z")).json()
    assert (job["message"], job["outcome"], job["error"]) == (None, None, None)
    first = await api.get(f"{TIMELINE}?owner=0x1111&limit=1")
    link = next_page(first)
    assert link is not None
    assert link.startswith(TIMELINE)
    second = await api.get(link)
    assert [job["jobId"] for job in first.json() + second.json()] == ["4444", "3333"]
    assert (await api.get(f"{TIMELINE}?owner=0x1111", If_None_Match=first.headers["ETag"])).status == 200
    assert (await api.get(f"{TIMELINE}?owner=0x1111&limit=1", If_None_Match=first.headers["ETag"])).status == 304


@pytest.mark.parametrize("buckets", [1, 3])
async def test_a_job_is_judged_by_where_its_own_events_are(
    start_api: StartApi, redis: Any, projection: Projection, buckets: int
) -> None:
    """Only what is missing of the partitions that report a job keeps its worker from being called silent."""
    spread = Projection(redis, projection.prefix, buckets=buckets)
    await spread.begin()
    await spread.put(Job(job_id=f"job-{number}") for number in range(9))
    other = f"{PARTITION.rpartition('/')[0]}/999"
    await spread.stand({PARTITION: 8, other: 5}, {PARTITION: 8, other: 9})
    api = await start_api(projection.prefix, STAGE_LIMITS="silent=3650d, job=3650d")
    codes = await codes_of(api)
    assert codes == [["WORKER:NEVER_STARTED", "STAGE:OVERDUE"]] * 9
    await spread.stand({}, {PARTITION: 11, other: 9})
    answer = (await api.get(f"{TIMELINE}?owner=0x1111")).json()
    assert [one["code"] for job in answer for one in job["diagnosis"]] == ["PROJECTION:BEHIND"] * 9
    assert {one["evidence"]["lag"] for job in answer for one in job["diagnosis"]} == {3}


async def codes_of(api: Client) -> list[list[str]]:
    """Return the codes of the diagnosis of each job."""
    return [[one["code"] for one in job["diagnosis"]] for job in (await api.get(f"{TIMELINE}?owner=0x1111")).json()]


async def test_what_is_not_confirmed_is_told(api: Client, projection: Projection) -> None:
    """A projection that nobody confirms, or whose partition is held, is told of jobs that go on, and of no other."""
    await projection.put([Job(), FINISHED_JOB_OF_ANOTHER_NAME])
    assert await codes_of(api) == [["PROJECTION:STALE"], []]
    await projection.stand({PARTITION: 8}, {PARTITION: 8}, age=3_600_000)
    [stale, *_] = (await api.get(f"{TIMELINE}?jobId=3333")).json()[0]["diagnosis"]
    assert (stale["code"], stale["actor"], stale["retriable"]) == ("PROJECTION:STALE", "operator", True)
    await projection.hold(PARTITION, "unreadable", 9)
    assert await codes_of(api) == [["PROJECTION:HELD", "PROJECTION:BEHIND"], []]


async def test_while_a_stage_lasts_it_says_when_it_should_end(start_api: StartApi, projection: Projection) -> None:
    """The stage that is not over yet has no duration, and says by which limit it is expected to end."""
    await projection.put([Job(stages={"started": "2020-10-01T01:00:00Z", "running": "2020-10-01T01:05:00Z"})])
    api = await start_api(projection.prefix, STAGE_LIMITS="running=90m")
    [job] = (await api.get(f"{TIMELINE}?owner=0x1111")).json()
    lasting = [(stage["durationSeconds"], stage["expectedBy"]) for stage in job["stages"]]
    assert lasting == [(300, None), (None, "2020-10-01T02:35:00Z")]


async def test_a_job_that_is_named_must_be_known(api: Client, projection: Projection) -> None:
    """A jobId that nobody has reported is a 404 that says how fresh that is, here alone; an owner may have no job."""
    await projection.put([Job()])
    await projection.stand({PARTITION: 8}, {PARTITION: 11})
    for query in ("jobId=other", "jobId=3333&owner=0x9", "owner=0x1111&agreementId=0x2&jobId=3333", "jobId=o&limit=1"):
        answer = await api.get(f"{TIMELINE}?{query}")
        assert answer.status == 404
        assert "was it ever reported" in answer.error
        assert (answer.headers["Projection-Lag"], answer.headers["Retry-After"]) == ("3", "1")
        assert await api.jobs(query) == []
    for query in ("owner=0x9", "agreementId=0x9", "jobId=3333&asOf=2019-10-01T00:00:00Z"):
        assert (await api.get(f"{TIMELINE}?{query}")).json() == []


async def test_an_expired_job_is_gone(start_api: StartApi, projection: Projection) -> None:
    """A job that is hidden since it had no news is a 410 by its name, says since when, and is in no list."""
    await projection.put([Job(), Job(job_id="4444", stages={"started": "2021-10-01T01:00:00Z"})])
    expired: dict[Any, Any] = {CUTOFF: "2021-01-01T00:00:00.000000", CUTOFF_RAISED: "1700000000000", KEPT_FOR: "86400"}
    await projection.redis.hset(pointer_key(projection.prefix), mapping=expired)
    api = await start_api(projection.prefix)
    answer = await api.get(f"{TIMELINE}?jobId=3333")
    assert (answer.status, answer.error) == (410, "The job has expired: it went at 2023-11-14T22:13:20Z")
    assert "Retry-After" not in answer.headers
    [left] = (await api.get(f"{TIMELINE}?owner=0x1111")).json()
    assert (left["jobId"], left["expiresAt"]) == ("4444", "2021-10-02T01:00:00Z")
    assert await api.jobs("jobId=3333") == []


async def test_a_job_that_was_taken_out_is_gone(api: Client, projection: Projection) -> None:
    """It is remembered by digests alone: only who names it rightly is told that it was there, and when it went."""
    jobs, times = gone_keys(projection.prefix)
    entry = gone_entry("0x1111", "0xab", "3333")
    await projection.redis.zadd(jobs, {entry: 0})
    await projection.redis.zadd(times, {entry: 1_700_000_000_000})
    for query in ("jobId=3333", "jobId=3333&owner=0x1111", "jobId=3333&owner=0x1111&agreementId=0xAB"):
        answer = await api.get(f"{TIMELINE}?{query}")
        assert (answer.status, answer.error) == (410, "The job has expired: it went at 2023-11-14T22:13:20Z")
        assert await api.jobs(query) == []
    for query in ("jobId=333", "jobId=3333&owner=0x2", "jobId=3333&agreementId=0xabc"):
        assert (await api.get(f"{TIMELINE}?{query}")).status == 404
    for key in (jobs, times):
        await projection.redis.set(key, "not ours")
        assert (await api.get(f"{TIMELINE}?jobId=3333")).status == 404


@pytest.mark.parametrize("buckets", [1, 3])
async def test_refused_events_stand_at_their_job(
    start_api: StartApi, redis: Any, projection: Projection, buckets: int
) -> None:
    """Whoever asks sees reason and date of refused events, admins where they are too; other jobs have none of them."""
    spread = Projection(redis, projection.prefix, buckets=buckets)
    await spread.begin()
    jobs = [Job(job_id=f"job-{number}") for number in range(4)]
    await spread.put(jobs)
    await spread.refuse(jobs[1], "2020-10-01T01:00:30Z", "invalid-field", 9)
    await spread.refuse(jobs[1], "2020-10-01T01:00:40Z", "unknown-type", 12)
    await spread.refuse(Job(job_id="never reported"), "2020-10-01T01:00:40Z", "invalid-field")
    api = await start_api(projection.prefix, API_ADMIN_TOKENS="sesame-sesame-16")
    for headers, records in (
        ({}, (None, None)),
        ({"Authorization": "Bearer sesame-sesame-16"}, (f"{PARTITION}/12", f"{PARTITION}/9")),
    ):
        timelines = (await api.get(f"{TIMELINE}?owner=0x1111", **headers)).json()
        refused = {job["jobId"]: job["refused"] for job in timelines}
        assert refused.pop("job-1") == [
            {"reason": "unknown-type", "date": "2020-10-01T01:00:40Z", "record": records[0]},
            {"reason": "invalid-field", "date": "2020-10-01T01:00:30Z", "record": records[1]},
        ]
        assert list(refused.values()) == [[], [], []]
        codes = {job["jobId"]: [one["code"] for one in job["diagnosis"]] for job in timelines}
        assert [name for name in codes if "EVENTS:REFUSED" in codes[name]] == ["job-1"]
    assert len(await api.jobs("owner=0x1111")) == 4
    assert (await api.get(f"{TIMELINE}?jobId=never+reported")).status == 404


async def test_refused_events_that_cannot_be_read_are_said_to_be_unknown(api: Client, projection: Projection) -> None:
    """A key of a wrong type, or an entry that is none, costs the answer nothing but what was refused."""
    await projection.put([Job(stages={"started": "2120-10-01T01:00:00Z"})])
    await projection.stand({PARTITION: 8}, {PARTITION: 8})
    await projection.redis.set(projection.key(REFUSED), "not ours")
    assert await codes_of(api) == [["UNDETERMINED"]]
    await projection.redis.delete(projection.key(REFUSED))
    await projection.redis.zadd(projection.key(REFUSED), {f"{Job().member}\trubbish": 0})
    assert await codes_of(api) == [["UNDETERMINED"]]


async def test_refused_events_of_before_the_cutoff_are_not_told(start_api: StartApi, projection: Projection) -> None:
    """What is let go of jobs is let go of their refused events too."""
    job = Job(stages={"started": "2021-10-01T01:00:00Z"})
    await projection.put([job])
    await projection.refuse(job, "2020-10-01T01:00:00Z", "invalid-field", 9)
    await projection.refuse(job, "2021-10-01T01:00:00Z", "invalid-field", 12)
    await projection.redis.hset(pointer_key(projection.prefix), CUTOFF, "2021-01-01T00:00:00.000000")
    api = await start_api(projection.prefix)
    [timeline] = (await api.get(f"{TIMELINE}?owner=0x1111")).json()
    assert [one["date"] for one in timeline["refused"]] == ["2021-10-01T01:00:00Z"]


async def test_a_stage_is_told_whole_however_long_its_register_is(start_api: StartApi, projection: Projection) -> None:
    """Registers are stored in one piece, two or more; what follows one that is no whole piece is no part of it."""
    sources = {f"job-{size}": f"/{'x' * size}" for size in range(0, 200, 7)}
    for name, source in sources.items():
        job = Job(job_id=name)
        await projection.put([job])
        register = stage_register("2020-10-01T01:00:00.000000", source, "e1", "job-events/0/b17")
        stored = hash_of(job.fields() | {"started": register})
        if len(register) < PIECE_BYTES:
            stored["started:2"] = "0"
        await projection.redis.hset(projection.key(JOB + job.member), mapping=stored)
    api = await start_api(projection.prefix, API_ADMIN_TOKENS="sesame-sesame-16")
    found = (await api.get(f"{TIMELINE}?owner=0x1111", Authorization="Bearer sesame-sesame-16")).json()
    assert {job["jobId"]: job["stages"][0]["source"] for job in found} == sources
    assert {job["stages"][0]["record"] for job in found} == {"job-events/0/17"}
