"""Damage: what is stored as a job and is none is named, counted, shown to nobody, and spoils no other job's answer."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from api import damage
from api.damage import Damage
from api.metrics import Metrics
from schemas.identity import JobIdentity
from schemas.job_status import StoredJob
from schemas.redis_layout import JOB, STORED_FIELDS
from schemas.stored_job import check_stored, row_of
from tests.support.client import STATUS, TIMELINE, Client, next_page
from tests.support.seeding import FINISHED_JOB, Job, Projection, names

TIME = "2020-10-01T01:00:00.000000"
WHO = "/workers/gpu-7\te1\tjob-events/0/7"
BAD = Job("0x1111", "0x2222", "bad", details={"outputsURL": ["http://a/"], "algologURL": "http://a/"})
GOOD = Job("0x1111", "0x9999", "good", stages={"started": "2020-10-01T00:00:00Z"})
FOREIGN = Job("0x3333", "0x4444", "foreign")
Spoil = Callable[[Projection], Awaitable[Any]]


def with_field(name: str, value: str | bytes) -> Spoil:
    """Write a field of the job."""
    return lambda projection: projection.redis.hset(projection.key(JOB + BAD.member), name, value)


def without_field(name: str) -> Spoil:
    """Delete a field of the job."""
    return lambda projection: projection.redis.hdel(projection.key(JOB + BAD.member), name)


async def without_hash(projection: Projection) -> None:
    """Delete the job and leave its index entries."""
    await projection.redis.delete(projection.key(JOB + BAD.member))


async def another_type(projection: Projection) -> None:
    """Replace the job by a text."""
    await projection.redis.set(projection.key(JOB + BAD.member), "?")


async def swapped(projection: Projection) -> None:
    """Store another owner's job under the job's key."""
    await projection.redis.delete(projection.key(JOB + BAD.member))
    await projection.redis.hset(projection.key(JOB + BAD.member), mapping=FOREIGN.fields())


DAMAGE = {
    "rubbish": with_field("started", "rubbish"),
    "rubbish beside a good stage": with_field("running", "rubbish"),
    "no day of the calendar": with_field("started", f"2020-02-31T01:00:00.000000\t{WHO}"),
    "no hour of the day": with_field("started", f"2020-02-01T24:00:00.000000\t{WHO}"),
    "no second of the minute": with_field("started", f"2020-02-01T01:00:60.000000\t{WHO}"),
    "an absurd time": with_field("started", f"9999-99-99T99:99:99.999999\t{WHO}"),
    "no record": with_field("finished", TIME),
    "no text": with_field("started", f"{TIME}\t/workers/".encode() + b"\xff\te1\tjob-events/0/7"),
    "no stage": without_field("started"),
    "no owner": without_field("owner"),
    "no attempt": without_field("attempt"),
    "another attempt": with_field("attempt", "2"),
    "an attempt of letters": with_field("attempt", "one"),
    "another owner": with_field("owner", "0x7777"),
    "outputs that are no list": with_field("outputsURL", f"01\t{TIME}\te1\t7"),
    "outputs that are no JSON": with_field("outputsURL", f"01\t{TIME}\te1\thttp://a/"),
    "outputs of numbers": with_field("outputsURL", f"01\t{TIME}\te1\t[1]"),
    "a detail without a value": with_field("algologURL", "http://a/"),
    "an outcome that is none": with_field("outcome", f"05\t{TIME}\te1\tperhaps"),
    "a hash that is gone": without_hash,
    "a text": another_type,
    "somebody else's job": swapped,
}


@pytest.fixture
def spoilt(request: pytest.FixtureRequest) -> Spoil:
    """One kind of damage."""
    spoil: Spoil = DAMAGE[request.param]
    return spoil


async def damaged_jobs(api: Client) -> float:
    """Return how many damaged jobs were met."""
    metrics = (await api.get("/metrics")).body.decode()
    return float(metrics.partition("\napi_damaged_jobs_total ")[2].partition("\n")[0])


@pytest.mark.parametrize("path", [STATUS, TIMELINE])
@pytest.mark.parametrize("spoilt", DAMAGE, indirect=True)
async def test_a_damaged_job_is_left_out_and_told(
    api: Client, projection: Projection, spoilt: Spoil, path: str
) -> None:
    """Other jobs are answered with a word that one is missing; the job itself is a 503 and never shown wrong."""
    await projection.put([BAD, GOOD])
    whole = await api.get(f"{path}?owner=0x1111")
    assert names(whole.json()) == ["bad", "good"]
    assert "Projection-Held" not in whole.headers
    await spoilt(projection)
    before = await damaged_jobs(api)
    with capture_logs() as logs:
        answers = [await api.get(f"{path}?{query}") for query in ("owner=0x1111", "owner=0x1111&limit=9")]
        alone = [await api.get(f"{path}?jobId=bad"), await api.get(f"{path}?owner=0x1111&agreementId=0x2222&jobId=bad")]
    for answer in answers:
        assert names(answer.json()) == ["good"]
        assert answer.headers["Projection-Held"] == "damaged-job"
    for answer in alone:
        assert answer.status == 503
        assert answer.error == "A job is stored damaged: `python -m projector verify --repair` mends it"
        assert "Retry-After" in answer.headers
    assert await damaged_jobs(api) == before + 4
    named = [line for line in logs if line["event"] == "what is stored is damaged"]
    assert [line["key"] for line in named] == [projection.key(JOB + BAD.member)]
    other = await api.get(f"{path}?jobId=good")
    assert (names(other.json()), "Projection-Held" in other.headers) == (["good"], False)


async def test_an_index_that_names_a_job_of_somebody_else_shows_nothing_of_it(
    api: Client, projection: Projection
) -> None:
    """An entry in another owner's index does not show a job there; where it belongs it is shown."""
    await projection.put([GOOD, FOREIGN])
    await projection.redis.zadd(projection.key("owner:0x1111"), {FOREIGN.member: FOREIGN.score})
    answer = await api.status("owner=0x1111")
    assert names(answer.json()) == ["good"]
    assert answer.headers["Projection-Held"] == "damaged-job"
    at_home = await api.status("owner=0x3333")
    assert (names(at_home.json()), "Projection-Held" in at_home.headers) == (["foreign"], False)


async def test_pages_pass_over_damaged_jobs(api: Client, projection: Projection) -> None:
    """A page on which all is damaged says so and links to the next, and a page that has none of it says nothing."""
    jobs = [Job(job_id=f"job-{number}", stages={"started": f"2020-10-01T01:00:0{9 - number}Z"}) for number in range(6)]
    await projection.put(jobs)
    for job in jobs[:2]:
        await projection.redis.hset(projection.key(JOB + job.member), "started", "rubbish")
    target, found, held = f"{STATUS}?owner=0x1111&limit=2", [], []
    while target:
        answer = await api.get(target)
        found += names(answer.json())
        held.append("Projection-Held" in answer.headers)
        target = next_page(answer) or ""
    assert found == [f"job-{number}" for number in range(2, 6)]
    assert held[0]
    assert not held[-1]


async def test_a_job_that_changes_is_looked_at_anew(api: Client, projection: Projection) -> None:
    """What was found sound is only that: the next thing that is stored there is held against the rule again."""
    await projection.put([FINISHED_JOB])
    for _ in range(3):
        assert len(await api.jobs("jobId=3333")) == 1
    key = projection.key(JOB + FINISHED_JOB.member)
    right = await projection.redis.hget(key, "finished")
    await projection.redis.hset(key, "finished", "rubbish")
    assert (await api.status("jobId=3333")).status == 503
    await projection.redis.hset(key, "finished", right)
    assert len(await api.jobs("jobId=3333")) == 1


def test_what_is_remembered_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many sound and damaged jobs are met, a bounded number of them is remembered."""
    monkeypatch.setattr(damage, "REMEMBERED_JOBS", 3)
    monkeypatch.setattr(damage, "NAMED_KEYS", 3)
    met = Damage(Metrics())
    for number in range(10):
        job = Job(job_id=f"job-{number}")
        fields = job.fields()
        row = [fields[name].encode() if name in fields else None for name in STORED_FIELDS]
        rows = [[*row, None, b"0", job.member.encode()], [*row, None, b"0", b"another"]]
        assert met.sound("base:", ("owner:0x1111",), rows) == rows[:1]
        met.name_key(f"key-{number}".encode(), "fault")
    assert max(len(met._sound), len(met._sound_before)) <= 3  # noqa: SLF001 - its size cannot be seen from outside
    assert len(met._named) <= 3  # noqa: SLF001 - as above


def test_a_job_is_looked_at_once_beside_others_that_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads the same jobs again pays for the new ones alone, also when these are more than are remembered anew."""
    monkeypatch.setattr(damage, "REMEMBERED_JOBS", 3)
    looked_at: list[bytes | None] = []

    def look(job: StoredJob, member: bytes | None) -> JobIdentity:
        looked_at.append(member)
        return check_stored(job, member)

    monkeypatch.setattr(damage, "check_stored", look)
    met = Damage(Metrics())
    rows: list[list[bytes | None]] = []
    for number in range(5):
        job = Job(job_id=f"job-{number}")
        rows.append([*row_of(job.fields()), None, b"0", job.member.encode()])
        assert met.sound("base:", (), rows) == rows
    assert looked_at == [row[-1] for row in rows]
