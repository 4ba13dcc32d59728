"""The job status: eleven fields, the same in every view."""

from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event_time import end_of_second, iso_seconds, unix_seconds
from schemas.job_status import SCHEMA, Dates, StoredJob, View, render
from schemas.lifecycle import STAGES
from schemas.redis_layout import STORED_FIELDS
from schemas.registers import SEPARATOR

FIELDS = [
    "owner",
    "agreementId",
    "jobId",
    "dateCreated",
    "dateFinished",
    "status",
    "statusText",
    "configlogURL",
    "publishlogURL",
    "algologURL",
    "outputsURL",
]
ADMIN_URLS = ("configlogURL", "publishlogURL")
URLS = (*ADMIN_URLS, "algologURL")
VALIDATOR = jsonschema_rs.validator_for(dict(SCHEMA))
SEED_TIME = "2020-10-01T01:00:00.000000"

MOMENTS = st.integers(0, 3_000_000).map(lambda us: f"2020-10-01T01:00:0{us // 1_000_000}.{us % 1_000_000:06d}")
STAGE_TIMES = st.dictionaries(st.sampled_from([stage.name for stage in STAGES]), MOMENTS)
DETAILS = st.dictionaries(
    st.sampled_from(["configlogURL", "publishlogURL", "algologURL", "outputsURL", "message"]),
    st.tuples(st.integers(1, 5), MOMENTS, st.sampled_from(["http://a/", "https://b/?c=ü"])),
)


@st.composite
def jobs(draw: st.DrawFn) -> StoredJob:
    """Draw a job that some stages and details were reported of, at any times."""
    details = {
        name: (stage, moment, f'["{url}"]' if name == "outputsURL" else url)
        for name, (stage, moment, url) in draw(DETAILS).items()
    }
    return stored(draw(STAGE_TIMES), details)


VIEWS = st.builds(
    View, is_admin=st.booleans(), dates=st.sampled_from(["iso", "unix"]), as_of=st.none() | MOMENTS.map(end_of_second)
)


def stored(stages: dict[str, str], details: dict[str, tuple[int, str, str]], *, attempt: int = 1) -> StoredJob:
    """Return a job as Redis holds it, from the time of each stage, and stage, time and value of each detail."""
    fields = {"owner": "0x1111", "agreementId": "0x2222", "jobId": "3333", "attempt": str(attempt)}
    fields |= {name: SEPARATOR.join([time, "/workers/gpu-7", "id-1", "t/0/1"]) for name, time in stages.items()}
    fields |= {
        name: SEPARATOR.join([f"{stage:02d}", time, "id-1", value]) for name, (stage, time, value) in details.items()
    }
    return [fields[name].encode() if name in fields else None for name in STORED_FIELDS]


def times_in(job: StoredJob) -> dict[str, str]:
    """Return the time of each stage that was reached."""
    registers = zip(STORED_FIELDS, job, strict=True)
    names = {stage.name for stage in STAGES}
    return {name: register.decode()[:26] for name, register in registers if register and name in names}


def shown(job: StoredJob, view: View) -> dict[str, Any]:
    """Return the status of a job that must be shown."""
    status = render(job, view)
    assert status is not None
    return status


def seed_job(folder: str, publish_log: str, attempt: int) -> StoredJob:
    """Return a job of the seed's example as it is stored."""
    outputs = orjson.dumps([f"http://example.net/{folder}/output/{number}" for number in (0, 1)]).decode()
    urls = {
        "configlogURL": f"http://example.net/{folder}/config.log",
        "publishlogURL": f"http://example.net/{folder}/{publish_log}.log",
        "algologURL": f"http://example.net/{folder}/algo.log",
        "outputsURL": outputs,
    }
    return stored({"finished": SEED_TIME}, {name: (5, SEED_TIME, url) for name, url in urls.items()}, attempt=attempt)


def test_the_example_of_the_endpoint_is_reproduced() -> None:
    """The two objects of the original description come out as they stand there, outputs as a list."""
    view = View(is_admin=True)
    answer = [render(seed_job("logs", "publish", 1), view), render(seed_job("logs2", "cpublish", 2), view)]
    assert answer == [
        {
            "owner": "0x1111",
            "agreementId": "0x2222",
            "jobId": "3333",
            "dateCreated": "2020-10-01T01:00:00Z",
            "dateFinished": "2020-10-01T01:00:00Z",
            "status": 5,
            "statusText": "Job finished",
            "configlogURL": "http://example.net/logs/config.log",
            "publishlogURL": "http://example.net/logs/publish.log",
            "algologURL": "http://example.net/logs/algo.log",
            "outputsURL": ["http://example.net/logs/output/0", "http://example.net/logs/output/1"],
        },
        {
            "owner": "0x1111",
            "agreementId": "0x2222",
            "jobId": "3333",
            "dateCreated": "2020-10-01T01:00:00Z",
            "dateFinished": "2020-10-01T01:00:00Z",
            "status": 5,
            "statusText": "Job finished",
            "configlogURL": "http://example.net/logs2/config.log",
            "publishlogURL": "http://example.net/logs2/cpublish.log",
            "algologURL": "http://example.net/logs2/algo.log",
            "outputsURL": ["http://example.net/logs2/output/0", "http://example.net/logs2/output/1"],
        },
    ]


@given(jobs(), VIEWS)
def test_every_view_has_the_eleven_fields_in_their_order(job: StoredJob, view: View) -> None:
    """Each object has exactly the eleven fields, in the contract's order, as the published schema describes them."""
    status = render(job, view)
    if status is not None:
        assert list(status) == FIELDS
        assert VALIDATOR.is_valid(status)


@given(jobs())
def test_the_status_is_the_furthest_stage(job: StoredJob) -> None:
    """Status and its text are those of the furthest stage that was reported, whatever is missing before it."""
    status = render(job, View())
    reached = [stage for stage in STAGES if stage.name in times_in(job)]
    if not reached:
        assert status is None
    else:
        assert status is not None
        assert (status["status"], status["statusText"]) == (reached[-1].code, reached[-1].text)


@given(jobs().filter(times_in))
def test_dates_are_the_earliest_and_the_finishing_time(job: StoredJob) -> None:
    """A job was created at its earliest time, even one of a later stage, and is finished when it said so."""
    times = times_in(job)
    status = shown(job, View())
    assert status["dateCreated"] == iso_seconds(min(times.values()))
    assert status["dateFinished"] == (iso_seconds(times["finished"]) if "finished" in times else None)


@given(jobs().filter(times_in), st.booleans(), st.none() | MOMENTS.map(end_of_second))
def test_unix_dates_are_the_same_dates(job: StoredJob, is_admin: bool, as_of: str | None) -> None:  # noqa: FBT001
    """With dates=unix the dates are integers of the same seconds, and nothing else changes."""
    views: list[Dates] = ["iso", "unix"]
    iso, unix = (render(job, View(is_admin, dates, as_of)) for dates in views)
    if iso is None or unix is None:
        assert iso == unix
        return
    for name in ("dateCreated", "dateFinished"):
        date = iso.pop(name)
        assert unix.pop(name) == (date and unix_seconds(date.removesuffix("Z") + ".000000"))
    assert iso == unix


@given(jobs().filter(times_in), VIEWS)
def test_only_admins_see_the_admin_urls(job: StoredJob, view: View) -> None:
    """Without the role both logs of the operator are null; all else is the same for everybody."""
    admin = render(job, View(is_admin=True, dates=view.dates, as_of=view.as_of))
    user = render(job, View(is_admin=False, dates=view.dates, as_of=view.as_of))
    if user is not None:
        assert user == {**(admin or {}), "configlogURL": None, "publishlogURL": None}


@given(jobs(), MOMENTS.map(end_of_second))
def test_as_of_shows_what_was_reported_by_then(job: StoredJob, as_of: str) -> None:
    """A view as of a moment is the view of a job of which nothing later was ever reported."""
    known = []
    for name, register in zip(STORED_FIELDS, job, strict=True):
        time = None
        if register and name in times_in(job):
            time = register.decode()[:26]
        elif register and name not in ("owner", "agreementId", "jobId", "attempt"):
            time = register.decode().split(SEPARATOR)[1]
        known.append(register if time is None or time <= as_of else None)
    assert render(job, View(is_admin=True, as_of=as_of)) == render(known, View(is_admin=True))


@given(jobs(), MOMENTS.map(end_of_second), MOMENTS.map(end_of_second))
def test_status_never_goes_back(job: StoredJob, one: str, other: str) -> None:
    """Seen at a later moment a job has not an earlier status, nor disappeared."""
    earlier, later = (render(job, View(as_of=moment)) for moment in sorted((one, other)))
    assert (earlier or {"status": 0})["status"] <= (later or {"status": 0})["status"]


@given(jobs(), st.booleans())
def test_as_of_the_end_of_time_is_now(job: StoredJob, is_admin: bool) -> None:  # noqa: FBT001
    """A view as of a moment after every report is the view without one."""
    end = "9999-12-31T23:59:59.999999"
    assert render(job, View(is_admin=is_admin, as_of=end)) == render(job, View(is_admin=is_admin))


def test_a_moment_itself_is_included() -> None:
    """What was reported in the last microsecond of the second asked for is shown, and what came after it is not."""
    job = stored(
        {"started": "2020-10-01T01:00:00.999999", "running": "2020-10-01T01:00:01.000000"},
        {"algologURL": (1, "2020-10-01T01:00:00.999999", "http://a/"), "configlogURL": (3, SEED_TIME[:-7] + "1", "x")},
    )
    status = shown(job, View(is_admin=True, as_of="2020-10-01T01:00:00.999999"))
    assert (status["status"], status["algologURL"]) == (1, "http://a/")
    assert render(job, View(as_of="2020-10-01T00:59:59.999999")) is None


@pytest.mark.parametrize(
    "value",
    ["", "a\tb\tc\td", "line\nbreak", "05\t2020", '"', "😀"],
    ids=["empty", "tabs", "break", "look-alike", "quote", "emoji"],
)
def test_a_detail_comes_out_as_it_was_reported(value: str) -> None:
    """Whatever characters a value has, it is not confused with the parts of its register."""
    assert shown(stored({"started": SEED_TIME}, {"algologURL": (1, SEED_TIME, value)}), View())["algologURL"] == value


def test_what_was_not_reported_is_null_or_empty() -> None:
    """A job of which only the start is known has null for each URL and no outputs."""
    status = shown(stored({"started": SEED_TIME}, {}), View(is_admin=True))
    assert [status[name] for name in ("dateFinished", *URLS, "outputsURL")] == [None, None, None, None, []]


def test_a_job_without_any_stage_is_not_shown() -> None:
    """Details alone make no job: a damaged or half-deleted one is not shown."""
    assert render(stored({}, {"algologURL": (1, SEED_TIME, "http://a/")}), View(is_admin=True)) is None
    assert render([None] * len(STORED_FIELDS), View()) is None
