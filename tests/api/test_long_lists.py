"""Lists that are surely long: they begin to be sent before most of them is read."""

from tests.support.client import STATUS, Client
from tests.support.seeding import Job, Projection, numbered


async def test_a_long_list_begins_with_its_first_jobs(api: Client, projection: Projection) -> None:
    """What is surely longer than a body is sent from the first call on; HEAD shows it, which reads no further."""
    await projection.put(numbered(1001))
    before = await api.round_trips()
    answer = await api.request("HEAD", f"{STATUS}?owner=0x1111")
    assert (answer.status, "ETag" in answer.headers) == (200, False)
    assert await api.round_trips() - before == 1


async def test_jobs_that_one_of_two_filters_leaves_out_make_no_stream(api: Client, projection: Projection) -> None:
    """A short list is one body with a tag, however many jobs each of its filters has."""
    for owner, agreement, count in (("0x1", "0x3", 1100), ("0x2", "0x4", 1100), ("0x1", "0x4", 30)):
        await projection.put(
            Job(owner=owner, agreement_id=agreement, job_id=f"job-{number}") for number in range(count)
        )
    answer = await api.status("owner=0x1&agreementId=0x4")
    assert (len(answer.json()), "ETag" in answer.headers) == (30, True)
