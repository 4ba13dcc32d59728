"""The status of jobs, as the contract words it, line by line."""

import asyncio
import gzip
from itertools import permutations

import jsonschema_rs
import pytest

from schemas import job_status
from schemas.lifecycle import STAGE_NAMES
from tests.support.client import STATUS, Client, StartApi
from tests.support.seeding import FINISHED_JOB, PARTITION, Job, Projection

FIELDS = [
    "owner", "agreementId", "jobId", "dateCreated", "dateFinished", "status", "statusText", "configlogURL",
    "publishlogURL", "algologURL", "outputsURL",
]  # fmt: skip
ADMIN = "Bearer sesame-sesame-16"
TEXTS = ["Job started", "Configuring volumes", "Running algorith", "Uploading results", "Job finished"]


def stages(count: int) -> dict[str, str]:
    """Return the times of the first stages."""
    return {name: f"2020-10-01T01:0{minute}:00Z" for minute, name in enumerate(STAGE_NAMES[:count])}


async def test_a_job_has_exactly_the_contracts_fields(api: Client, projection: Projection) -> None:
    """Each object has exactly the 11 fields, always, in the contract's order, and meets the published schema."""
    await projection.put([FINISHED_JOB, Job(job_id="4444")])
    for admin in ({}, {"Authorization": ADMIN}):
        jobs = await api.jobs("owner=0x1111", **admin)
        assert [list(job) for job in jobs] == [FIELDS, FIELDS]
        for job in jobs:
            jsonschema_rs.validate(dict(job_status.SCHEMA), job)


async def test_the_seeds_example_is_answered(api: Client, projection: Projection) -> None:
    """The example of the endpoint's original text is answered as it stands there, for an admin."""
    await projection.put([FINISHED_JOB])
    assert await api.jobs("owner=0x1111", Authorization=ADMIN) == [
        {
            "owner": "0x1111",
            "agreementId": "0x2222",
            "jobId": "3333",
            "dateCreated": "2020-10-01T01:00:00Z",
            "dateFinished": "2020-10-01T01:04:00Z",
            "status": 5,
            "statusText": "Job finished",
            "configlogURL": "http://example.net/logs/config.log",
            "publishlogURL": "http://example.net/logs/publish.log",
            "algologURL": "http://example.net/logs/algo.log",
            "outputsURL": ["http://example.net/logs/output/0", "http://example.net/logs/output/1"],
        }
    ]


async def test_admin_urls_are_for_admins_only(api: Client, projection: Projection) -> None:
    """Without credentials both admin URLs are null, whatever is stored, and the others are shown."""
    await projection.put([FINISHED_JOB])
    [job] = await api.jobs("jobId=3333")
    assert (job["configlogURL"], job["publishlogURL"]) == (None, None)
    assert job["algologURL"] == "http://example.net/logs/algo.log"
    assert len(job["outputsURL"]) == 2


@pytest.mark.parametrize("count", range(1, 6))
async def test_the_status_is_the_furthest_stage(api: Client, projection: Projection, count: int) -> None:
    """Status and text are those of the furthest stage; the finishing date is null until the job has finished."""
    await projection.put([Job(stages=stages(count))])
    [job] = await api.jobs("owner=0x1111")
    assert (job["status"], job["statusText"]) == (count, TEXTS[count - 1])
    assert job["dateCreated"] == "2020-10-01T01:00:00Z"
    assert job["dateFinished"] == ("2020-10-01T01:04:00Z" if count == 5 else None)
    assert (job["algologURL"], job["outputsURL"]) == (None, [])


async def test_dates_are_unix_seconds_when_asked_for(api: Client, projection: Projection) -> None:
    """`dates=unix` turns both dates into whole Unix seconds, `dates=iso` is what is given without it."""
    await projection.put([FINISHED_JOB])
    [job] = await api.jobs("owner=0x1111&dates=unix")
    assert (job["dateCreated"], job["dateFinished"]) == (1601514000, 1601514240)
    assert await api.jobs("owner=0x1111&dates=iso") == await api.jobs("owner=0x1111")


async def test_filters_are_anded(api: Client, projection: Projection) -> None:
    """All filters that are given must match, in every combination."""
    names = {"owner": ("0x1", "0x2"), "agreementId": ("0xa", "0xb"), "jobId": ("1", "2")}
    jobs = [Job(o, a, j) for o in names["owner"] for a in names["agreementId"] for j in names["jobId"]]
    await projection.put(jobs)
    for count in (1, 2, 3):
        for chosen in permutations(names, count):
            found = await api.jobs("&".join(f"{name}={names[name][0]}" for name in chosen))
            assert len(found) == 2 ** (3 - count)
            assert all(job[name] == names[name][0] for job in found for name in chosen)
    assert await api.jobs("owner=0x1&jobId=3") == []
    assert await api.jobs("owner=0x1&agreementId=0xa&jobId=3") == []


async def test_the_same_job_id_under_two_owners_is_two_jobs(api: Client, projection: Projection) -> None:
    """Nobody's job hides somebody else's."""
    await projection.put([Job("0x1"), Job("0x2", stages=stages(3))])
    assert {job["owner"]: job["status"] for job in await api.jobs("jobId=3333")} == {"0x1": 1, "0x2": 3}


async def test_newest_first_then_attempts_ascending(api: Client, projection: Projection) -> None:
    """Jobs come newest first; attempts of one second ascending by number, not by text."""
    same = [Job(attempt=attempt, stages=stages(1 + attempt % 5)) for attempt in (10, 9, 1, 2, 11, 100)]
    days = [Job(job_id=f"day-{day}", stages={"started": f"2020-10-0{day}T00:00:00Z"}) for day in (1, 3, 2)]
    await projection.put(same + days)
    jobs = await api.jobs("owner=0x1111")
    assert [job["jobId"] for job in jobs] == ["day-3", "day-2", *["3333"] * 6, "day-1"]
    timeline = (await api.get("/api/v1/operator/status/timeline?jobId=3333")).json()
    assert [job["attempt"] for job in timeline] == [1, 2, 9, 10, 11, 100]


@pytest.mark.parametrize("owner", ["0xabcd", "0xABCD", "0XAbCd"])
async def test_hex_matches_in_any_letter_case(api: Client, projection: Projection, owner: str) -> None:
    """0x-hex owners and agreements match whatever their letter case, and come back in lower case."""
    await projection.put([Job("0xabcd", "0xef01")])
    assert [job["owner"] for job in await api.jobs(f"owner={owner}&agreementId={owner[:2]}EF01")] == ["0xabcd"]


async def test_other_identifiers_match_exactly(api: Client, projection: Projection) -> None:
    """Agreements that are not hex, and jobs, match exactly, with any character that a worker may use."""
    names = ["Job-A", "job-a", "a b", "a+b", "{x}", "*", "a:b", "../etc", "é", "é", "\U0001f600", "%41", "a&b=c"]
    await projection.put([Job("0x1", name, name) for name in names])
    for name in names:
        quoted = "".join(f"%{byte:02X}" for byte in name.encode())
        assert [job["jobId"] for job in await api.jobs(f"jobId={quoted}")] == [name]
        assert [job["agreementId"] for job in await api.jobs(f"agreementId={quoted}")] == [name]
    assert len(await api.jobs("jobId=a+b")) == len(await api.jobs("jobId=a%2Bb")) == 1


@pytest.mark.parametrize(
    "owner", ["*", "?", "{x}", "a:b", "../", "..%2f", "'+OR+1=1--", "0x1111%2A", "[0-9]*",
     "0x1111:", "nobody", "0x111", "%F0%9F%98%80"]
)  # fmt: skip
async def test_text_that_is_no_owner_matches_nothing(api: Client, projection: Projection, owner: str) -> None:
    """What looks like a pattern, a path or a statement is plain text, and matches nothing."""
    await projection.put([Job()])
    for name in ("owner", "agreementId", "jobId"):
        answer = await api.status(f"{name}={owner}")
        assert (answer.status, answer.body) == (200, b"[]")


async def test_nothing_found_is_an_empty_array(api: Client) -> None:
    """`[]` when nothing matches, in an answer like any other that says when to ask again: a job may be on its way."""
    answer = await api.status("owner=0x1")
    assert (answer.status, answer.body) == (200, b"[]")
    assert answer.headers["Content-Type"] == "application/json"
    assert "ETag" in answer.headers
    assert answer.headers["Retry-After"] == "1"


async def test_as_of_shows_what_stood_at_the_end_of_that_second(api: Client, projection: Projection) -> None:
    """`asOf` shows status, dates and URLs as they stood at the end of that second, and no job from later on."""
    await projection.put([FINISHED_JOB])

    async def at(moment: str) -> tuple[int, str | None, int] | None:
        found = await api.jobs(f"owner=0x1111&asOf=2020-10-01T{moment}Z")
        return (found[0]["status"], found[0]["dateFinished"], len(found[0]["outputsURL"])) if found else None

    assert await at("00:59:59") is None
    assert await at("01:00:00") == (1, None, 0)
    assert await at("01:01:59.999") == (2, None, 0)
    assert await at("01:03:59") == (4, None, 0)
    assert await at("01:04:00") == (5, "2020-10-01T01:04:00Z", 2)
    assert await at("23:59:60") == (5, "2020-10-01T01:04:00Z", 2)


async def test_as_of_counts_whole_seconds(api: Client, projection: Projection) -> None:
    """A stage that was reached within the second of `asOf` counts, also after its beginning."""
    await projection.put([Job(stages={"started": "2020-10-01T01:00:00.75Z"})])
    assert len(await api.jobs("owner=0x1111&asOf=2020-10-01T01:00:00Z")) == 1
    assert await api.jobs("owner=0x1111&asOf=2020-10-01T00:59:59Z") == []


async def test_freshness_is_told_on_every_answer(api: Client, projection: Projection) -> None:
    """Lag, heartbeat and generation are told on every answer, also on 304 and on an empty one."""
    await projection.put([Job()])
    await projection.stand({PARTITION: 3, "job-events/1": 9}, {PARTITION: 5, "job-events/1": 10})
    first = await api.status("owner=0x1111")
    answers = [
        first,
        await api.status("owner=0x2"),
        await api.status("owner=0x1111", If_None_Match=first.headers["ETag"]),
    ]
    assert [answer.status for answer in answers] == [200, 200, 304]
    for answer in answers:
        assert answer.headers["Projection-Lag"] == "3"
        assert answer.headers["Projection-Heartbeat"][-1] == "Z"
        assert answer.headers["Projection-Generation"] == "1"


async def test_lag_is_unknown_without_a_recent_heartbeat(api: Client, projection: Projection) -> None:
    """When the projector did not report lately the lag is `unknown`, and jobs are answered all the same."""
    await projection.put([Job()])
    assert (await api.status("owner=0x1111")).headers["Projection-Heartbeat"] == "unknown"
    await projection.stand({PARTITION: 3}, {PARTITION: 5}, age=6000)
    answer = await api.status("owner=0x1111")
    assert (answer.status, answer.headers["Projection-Lag"]) == (200, "unknown")
    assert answer.headers["Projection-Heartbeat"] != "unknown"


async def test_retry_after_is_told_while_a_job_is_unfinished(api: Client, projection: Projection) -> None:
    """An answer says when it pays to ask again while a job in it is unfinished, and not once all are finished."""
    await projection.put([FINISHED_JOB])
    assert "Retry-After" not in (await api.status("owner=0x1111")).headers
    await projection.put([Job(job_id="4444")])
    answer = await api.status("owner=0x1111")
    assert 1 <= int(answer.headers["Retry-After"]) <= 5
    assert (await api.status("owner=0x1111", If_None_Match=answer.headers["ETag"])).headers["Retry-After"] == "1"
    assert "Retry-After" not in (await api.status("jobId=3333")).headers


async def test_an_answer_that_is_known_already_is_not_sent_again(api: Client, projection: Projection) -> None:
    """304 on If-None-Match with the tag of this answer, in a list, weak or as a star; 200 once the answer changed."""
    await projection.put([Job()])
    answer = await api.status("owner=0x1111")
    tag = answer.headers["ETag"]
    assert tag.startswith('"')
    for header in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        known = await api.status("owner=0x1111", If_None_Match=header)
        assert (known.status, known.body, known.headers["ETag"]) == (304, b"", tag)
        assert "Content-Type" not in known.headers
    assert (await api.status("owner=0x1111", If_None_Match='"x"')).status == 200
    assert (await api.status("owner=0x1111", If_None_Match=tag, Authorization=ADMIN)).headers["ETag"] == tag
    await projection.put([Job(stages=stages(2))])
    changed = await api.status("owner=0x1111", If_None_Match=tag)
    assert (changed.status, changed.json()[0]["status"]) == (200, 2)


async def test_gzip_is_sent_to_those_who_accept_it(api: Client, projection: Projection) -> None:
    """A body worth compressing comes as gzip when the client accepts it, with a tag of its own."""
    await projection.put(Job(job_id=f"job-{number}") for number in range(20))
    plain = await api.status("owner=0x1111")
    packed = await api.status("owner=0x1111", Accept_Encoding="br;q=1, gzip;q=0.5")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert len(packed.body) == int(packed.headers["Content-Length"]) < len(plain.body)
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["ETag"] != plain.headers["ETag"]
    again = await api.status("owner=0x1111", Accept_Encoding="gzip", If_None_Match=packed.headers["ETag"])
    assert again.status == 304
    assert (await api.status("owner=0x1111", If_None_Match=packed.headers["ETag"])).status == 200
    refused = await api.status("owner=0x1111", Accept_Encoding="gzip;q=0")
    assert refused.body == plain.body
    lines = b"Accept-Encoding: br\r\nAccept-Encoding: gzip\r\nHost: x\r\nConnection: close"
    told = await api.raw(b"GET " + STATUS.encode() + b"?owner=0x1111 HTTP/1.1\r\n" + lines + b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in told, "what stands in two lines is one list"


async def test_in_mode_required_an_admin_sees_all_and_nobody_else_anything(
    start_api: StartApi, projection: Projection
) -> None:
    """In mode required one without credentials is refused, and an admin sees every job with its admin URLs."""
    await projection.put([FINISHED_JOB])
    api = await start_api(projection.prefix, API_AUTH="required", API_ADMIN_TOKENS="sesame-sesame-16")
    refused = await api.status("owner=0x1111")
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    [job] = await api.jobs("owner=0x1111", Authorization=ADMIN)
    assert job["configlogURL"] == "http://example.net/logs/config.log"
    assert (await api.get("/livez")).status == 200


async def test_many_questions_at_once_each_get_their_own_answer(api: Client, projection: Projection) -> None:
    """Questions that share round trips do not share answers."""
    await projection.put(Job(job_id=f"job-{number}") for number in range(200))
    names = [f"job-{number % 250}" for number in range(1000)]
    answers = await asyncio.gather(*(api.jobs(f"jobId={name}") for name in names))
    for name, answer in zip(names, answers, strict=True):
        assert [job["jobId"] for job in answer] == ([name] if int(name[4:]) < 200 else [])
