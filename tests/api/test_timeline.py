"""The timeline: how a job got where it stands."""

import jsonschema_rs

from schemas import job_timeline
from tests.support.client import TIMELINE, Client, next_page
from tests.support.seeding import FINISHED_JOB, PARTITION, Job, Projection

FAILED = Job(
    job_id="4444",
    attempt=2,
    stages={"started": "2020-10-01T02:00:00Z", "finished": "2020-10-01T03:00:00.5Z"},
    details={"message": "line\tone", "outcome": "failed", "error": "out of memory"},
    detail_time="2020-10-01T03:00:00.5Z",
)


async def test_every_reported_stage_is_told(api: Client, projection: Projection) -> None:
    """Each stage that was reported is told with its date, its worker and the report's id, in the lifecycle's order."""
    await projection.put([FINISHED_JOB, FAILED])
    failed, finished = (await api.get(f"{TIMELINE}?owner=0x1111")).json()
    for job in (failed, finished):
        jsonschema_rs.validate(dict(job_timeline.SCHEMA), job)
    assert [stage["status"] for stage in finished["stages"]] == [1, 2, 3, 4, 5]
    assert failed == {
        "owner": "0x1111",
        "agreementId": "0x2222",
        "jobId": "4444",
        "attempt": 2,
        "status": 5,
        "statusText": "Job finished",
        "stages": [
            {
                "status": 1,
                "statusText": "Job started",
                "date": "2020-10-01T02:00:00Z",
                "source": "/workers/gpu-7",
                "eventId": "started-1",
                "record": None,
            },
            {
                "status": 5,
                "statusText": "Job finished",
                "date": "2020-10-01T03:00:00Z",
                "source": "/workers/gpu-7",
                "eventId": "finished-1",
                "record": None,
            },
        ],
        "message": "line\tone",
        "outcome": "failed",
        "error": "out of memory",
    }


async def test_a_finished_job_has_succeeded_unless_it_says_otherwise(api: Client, projection: Projection) -> None:
    """A job that finished without an outcome has succeeded; one that has not finished has no outcome yet."""
    await projection.put([FINISHED_JOB, Job(job_id="5555")])
    outcomes = {job["jobId"]: job["outcome"] for job in (await api.get(f"{TIMELINE}?owner=0x1111")).json()}
    assert outcomes == {"3333": "succeeded", "5555": None}


async def test_only_admins_see_where_a_report_is_in_the_log(api: Client, projection: Projection) -> None:
    """The place of each report in the log is for admins."""
    await projection.put([Job()])
    [job] = (await api.get(f"{TIMELINE}?owner=0x1111", Authorization="Bearer sesame-sesame-16")).json()
    assert job["stages"][0]["record"] == f"{PARTITION}/7"


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
