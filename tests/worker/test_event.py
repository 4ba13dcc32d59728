"""From what a worker reports to an event: its id, its time, its checks."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_status.errors import InvalidEventError
from operator_status.event import HEADERS, MAX_AHEAD, MAX_RECORD_BYTES, SAID, ReportedJob, event_id, make_report
from schemas import event_time, job_event
from schemas.decode import RefusedEventError, decode
from schemas.identity import JobIdentity
from schemas.job_event import DETAIL_NAMES, SCHEMA
from schemas.lifecycle import FINISHED as LAST
from schemas.lifecycle import STAGE_NAMES

RUNNING = "running"
FINISHED = LAST.name
DETAILS = {"algologURL": "http://example.net/log", "message": "epoch 3"}


def now_in_milliseconds() -> int:
    """Return what Kafka would date the record with."""
    return int(datetime.now(UTC).timestamp() * 1000)


def faults(job: ReportedJob, stage: str = FINISHED, time: Any = None, **details: Any) -> list[str]:
    """Return the names of the fields that are refused."""
    with pytest.raises(InvalidEventError) as refusal:
        make_report(job, stage, details, time)
    return [fault.split(":")[0] for fault in refusal.value.faults]


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_the_projector_understands_it(job: ReportedJob, stage: str) -> None:
    """What is reported is what the projector reads: identity, stage, source, details; the key is the jobId."""
    report = make_report(job, stage, DETAILS)
    event = decode(report.value, HEADERS, now_in_milliseconds())
    assert event.identity == JobIdentity("0x1111", "0x2222", "3333", 1)
    assert (event.stage.name, event.source, event.id) == (stage, "/workers/gpu-7", report.id)
    assert event.details == DETAILS
    assert report.key == b"3333"


def test_the_same_report_has_the_same_id(job: ReportedJob) -> None:
    """A repeated report has the id of the first, though it is made later; hex is the same in either letter case."""
    first = make_report(job, RUNNING, DETAILS)
    again = make_report(job, RUNNING, DETAILS | {"configlogURL": None}, datetime.now(UTC) + timedelta(minutes=1))
    assert first.id == again.id
    assert event_id(job._replace(owner="0xABC"), RUNNING, {}) == event_id(job._replace(owner="0xabc"), RUNNING, {})


@pytest.mark.parametrize(
    "other",
    [
        {"owner": "0x1112"},
        {"agreement_id": "0x2223"},
        {"job_id": "3334"},
        {"attempt": 2},
        {"source": "/workers/gpu-8"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_report_has_another_id(job: ReportedJob, other: dict[str, Any]) -> None:
    """Whatever else is reported, of whichever job and by whichever worker, has another id."""
    ids = {
        event_id(job, RUNNING, {}),
        event_id(job._replace(**other), RUNNING, {}),
        event_id(job, FINISHED, {}),
        event_id(job, RUNNING, DETAILS),
    }
    assert len(ids) == 4


def test_the_id_survives_a_restart(job: ReportedJob) -> None:
    """The id depends on nothing but the report, so that another process, or another release, repeats it."""
    assert event_id(job, RUNNING, DETAILS) == "1e2ca9b1-3e68-574a-8a18-2ce78fae8f32"


def test_time_is_now(job: ReportedJob) -> None:
    """The time is set by the worker, in UTC, to the microsecond."""
    before = datetime.now(UTC)
    time = orjson.loads(make_report(job, RUNNING, {}).value)["time"]
    assert len(time) == len("2020-10-01T01:00:00.000000Z")
    assert before <= datetime.fromisoformat(time) <= datetime.now(UTC)


def test_time_may_be_given(job: ReportedJob) -> None:
    """A time with any zone is the same moment in UTC; text is passed on as it is."""
    moment = datetime(2020, 10, 1, 3, 0, tzinfo=timezone(timedelta(hours=2)))
    assert orjson.loads(make_report(job, RUNNING, {}, moment).value)["time"] == "2020-10-01T01:00:00.000000Z"
    assert orjson.loads(make_report(job, RUNNING, {}, "2020-10-01T01:00:00Z").value)["time"] == "2020-10-01T01:00:00Z"


@pytest.mark.parametrize("empty", [None, "", [], ()], ids=repr)
def test_what_is_empty_is_left_out(job: ReportedJob, empty: Any) -> None:
    """An empty detail, attempt or time is the same as none: it is not in the event, and changes no id."""
    report = make_report(job._replace(attempt=empty), FINISHED, dict.fromkeys(DETAIL_NAMES, empty), empty)
    event = orjson.loads(report.value)
    assert event["data"] == {"owner": "0x1111", "agreementId": "0x2222", "jobId": "3333"}
    assert datetime.fromisoformat(event["time"]) <= datetime.now(UTC)
    assert event_id(job, FINISHED, dict.fromkeys(DETAIL_NAMES, empty)) == event_id(job, FINISHED, {})


def test_an_error_is_a_failure(job: ReportedJob) -> None:
    """Whoever reports an error and no outcome has reported that the job failed."""
    event = decode(make_report(job, FINISHED, {"error": "out of memory"}).value, HEADERS, now_in_milliseconds())
    assert event.details == {"error": "out of memory", "outcome": "failed"}


def test_every_fault_at_once() -> None:
    """All that is wrong with a report is told together, by the fields' names in events."""
    job = ReportedJob("alice", " ", "", 0, "\n")
    url = "ftp://example.net/log"
    assert faults(
        job,
        time="yesterday",
        configlogURL=url,
        publishlogURL="http://u:p@example.net/",
        algologURL=url,
        outputsURL=["http://example.net/o", url],
        message="m" * 1001,
        outcome="lost",
        error="e" * 1001,
    ) == list(SAID)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("message", "lone \ud800"),
        ("message", 7),
        ("algologURL", Path("/log")),
        ("outputsURL", "http://example.net/o"),
        ("outputsURL", ["http://example.net/o"] * 1001),
        ("outcome", "Failed"),
        ("algologURL", "http://:80/"),
        ("outputsURL", [""]),
        ("message", 0),
        ("error", False),
    ],
)
def test_a_wrong_detail_is_named(job: ReportedJob, field: str, value: Any) -> None:
    """A detail that events cannot hold is refused before anything is sent, by its name."""
    assert faults(job, **{field: value}) == [field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("owner", None),
        ("owner", ""),
        ("owner", 1111),
        ("agreement_id", None),
        ("agreement_id", ""),
        ("job_id", []),
        ("agreement_id", "0x2222 "),
        ("job_id", "33\x0033"),
        ("job_id", "3" * 257),
        ("attempt", 1.5),
        ("attempt", 2**64),
        ("source", None),
    ],
)
def test_a_wrong_identity_is_named(job: ReportedJob, field: str, value: Any) -> None:
    """An identity that events cannot hold is refused before anything is sent, by its name."""
    names = {"agreement_id": "agreementId", "job_id": "jobId"}
    assert faults(job._replace(**{field: value})) == [names.get(field, field)]


@pytest.mark.parametrize("time", ["2021-02-29T01:00:00Z", datetime(2020, 10, 1), "2020-10-01", 1601514000])  # noqa: DTZ001
def test_a_wrong_time_is_named(job: ReportedJob, time: Any) -> None:
    """A time without a zone, or of a day that does not exist, is refused."""
    assert faults(job, time=time) == ["time"]


def test_a_time_far_ahead_is_refused(job: ReportedJob) -> None:
    """A time that the projector would refuse as too far ahead is refused here already."""
    assert faults(job, time=datetime.now(UTC) + timedelta(days=2)) == ["time"]


def test_too_much_is_refused(job: ReportedJob) -> None:
    """An event that is larger than a record may be is refused here already."""
    urls = ["http://example.net/" + "o" * 2000] * 1000
    with pytest.raises(InvalidEventError, match="more than 262144"):
        make_report(job, RUNNING, {"outputsURL": urls})


def test_only_the_end_has_an_outcome(job: ReportedJob) -> None:
    """An outcome or an error before the end is refused, for the projector would pass over it."""
    assert faults(job, RUNNING, outcome="failed", error="oops") == ["outcome", "error"]


def test_values_are_not_quoted(job: ReportedJob) -> None:
    """An error never quotes a value: a signed URL must not get into a log."""
    with pytest.raises(InvalidEventError) as refusal:
        make_report(job, RUNNING, {"algologURL": "http://example.net/ ?signature=secret", "message": ["secret"]})
    assert "secret" not in str(refusal.value)


def test_a_rule_for_every_field() -> None:
    """Each field that a worker sets has a rule in words."""
    data = SCHEMA["properties"]["data"]["properties"]
    assert set(SAID) == {"source", "time", *data, *DETAIL_NAMES}


def test_limits_that_no_schema_can_say() -> None:
    """The size of a record and how far a time may be ahead are the projector's."""
    assert (MAX_RECORD_BYTES, MAX_AHEAD) == (job_event.MAX_RECORD_BYTES, event_time.MAX_AHEAD)


identifiers = st.one_of(st.text(max_size=20), st.sampled_from(["0x1111", "0xAB", "x" * 256, "x" * 257]))
texts = st.one_of(st.text(max_size=40), st.sampled_from(["m" * 1000, "m" * 1001]), st.none())
urls = st.one_of(
    st.from_regex(r"https?://[a-z%:@\[\].]{0,20}(:[0-9]{0,6})?(/[^\n]{0,10})?", fullmatch=True),
    st.text(max_size=20),
    st.sampled_from(
        ["http://h/" + "p" * 2039, "http://h/" + "p" * 2040, "http://h:65535", "http://h:65536", "HTTP://[::1]/"]
    ),
)
times = st.one_of(
    st.from_regex(
        r"20[0-9]{2}-[01][0-9]-[0-3][0-9][Tt][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,9})?(Z|z|[+-][0-2][0-9]:[0-6][0-9])",
        fullmatch=True,
    ),
    st.sampled_from(
        ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:60Z", "2016-12-31T23:59:60Z", "2021-02-29T00:00:00Z"]
    ),
)


@given(
    who=st.builds(
        ReportedJob, identifiers, identifiers, identifiers, st.sampled_from([1, 2**63 - 1, 2**63]), identifiers
    ),
    stage=st.sampled_from(STAGE_NAMES),
    details=st.fixed_dictionaries(
        {},
        optional={
            "algologURL": urls,
            "outputsURL": st.lists(urls, max_size=3),
            "message": texts,
            "error": texts,
            "outcome": st.sampled_from(["succeeded", "failed", "other", None]),
        },
    ),
    time=times,
)
def test_what_is_made_is_what_the_projector_takes(
    who: ReportedJob, stage: str, details: dict[str, Any], time: str
) -> None:
    """A worker's check, which reads the published schema, and the projector's agree on every report."""
    data = {"owner": who.owner, "agreementId": who.agreement_id, "jobId": who.job_id, "attempt": who.attempt, **details}
    event = {"specversion": "1.0", "id": "x", "source": who.source, "type": f"operator.job.{stage}", "time": time}
    misplaced = stage != FINISHED and any(details.get(name) for name in ("outcome", "error"))
    try:
        decode(orjson.dumps({**event, "data": data}), HEADERS, now_in_milliseconds())
    except RefusedEventError:
        is_taken = False
    else:
        is_taken = not misplaced
    try:
        report = make_report(who, stage, details, time)
    except InvalidEventError:
        assert not is_taken
    else:
        assert is_taken
        assert report.moment == datetime.fromisoformat(decode(report.value, HEADERS, -1).time + "Z")
