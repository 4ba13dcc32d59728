"""Why a job is where it is: each cause holds when its condition does, and then alone."""

from collections.abc import Mapping
from random import Random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import job_timeline
from schemas.diagnosis.causes import CAUSES, CODES
from schemas.job_status import View
from schemas.lifecycle import OUTCOMES, STAGE_NAMES
from tests.support.diagnosed import codes_of, diagnosis_of, report, timeline_of

STARTED, CONFIGURING, RUNNING = (
    report(stage, f"2020-10-01T01:0{minute}:00Z") for minute, stage in enumerate(STAGE_NAMES[:3])
)
AT_WORK = [STARTED, CONFIGURING, RUNNING]
SOON = "2020-10-01T01:05:00Z"
LATER = "2020-10-05T01:00:00Z"
OF_FINISHED = {"JOB:FAILED", "JOB:CANCELLED", "EVENTS:REFUSED", "CLOCK:SKEWED"}


def finished(outcome: str = "succeeded") -> dict[str, Any]:
    """Return the report that ends a job."""
    return report("finished", "2020-10-01T01:10:00Z", outcome=outcome)


def test_a_job_within_its_limits_has_no_diagnosis() -> None:
    """Where all is well nothing is said."""
    assert codes_of({"reports": [STARTED], "now": SOON}) == []
    assert codes_of({"reports": AT_WORK, "now": SOON}) == []


@pytest.mark.parametrize(
    ("limit", "reports", "last_well", "first_wrong", "code"),
    [
        ("started", [STARTED], "2020-10-01T01:10:00Z", "2020-10-01T01:10:01Z", "WORKER:NEVER_STARTED"),
        ("started", [STARTED], "2020-10-01T01:10:00Z", "2020-10-01T01:10:01Z", "STAGE:OVERDUE"),
        ("configuring", AT_WORK[:2], "2020-10-01T01:31:00Z", "2020-10-01T01:31:01Z", "STAGE:OVERDUE"),
        ("running", AT_WORK, "2020-10-02T01:02:00Z", "2020-10-02T01:02:01Z", "STAGE:OVERDUE"),
        ("silent", AT_WORK, "2020-10-01T01:17:00Z", "2020-10-01T01:17:01Z", "WORKER:SILENT"),
        ("job", AT_WORK, "2020-10-03T01:00:00Z", "2020-10-03T01:00:01Z", "JOB:OVERDUE"),
    ],
)
def test_each_limit_is_kept_to_the_second(
    limit: str, reports: list[dict[str, Any]], last_well: str, first_wrong: str, code: str
) -> None:
    """What lasts exactly as long as its limit is well, and is told a second later; a longer limit is kept, too."""
    assert code not in codes_of({"reports": reports, "now": last_well})
    assert code in codes_of({"reports": reports, "now": first_wrong})
    assert code not in codes_of({"reports": reports, "now": first_wrong, "limits": f"{limit}=90d"})


@pytest.mark.parametrize(
    "sign",
    [
        report("running", "2020-10-01T01:20:00Z"),
        report("running", "2020-10-01T01:20:00Z", message="step 3 of 10"),
        report("uploading", "2020-10-01T01:20:00Z"),
    ],
    ids=["the stage again", "a message", "another stage"],
)
def test_a_repeated_report_is_a_sign_of_life(sign: dict[str, Any]) -> None:
    """A worker that reports a stage again, with or without a message, is silent from then on only."""
    now = "2020-10-01T01:30:00Z"
    assert codes_of({"reports": AT_WORK, "now": now}) == ["WORKER:SILENT"]
    assert codes_of({"reports": [*AT_WORK, sign], "now": now}) == []
    [silent] = diagnosis_of({"reports": [sign, *AT_WORK], "now": "2020-10-01T01:35:01Z"})
    assert (silent["code"], silent["since"]) == ("WORKER:SILENT", "2020-10-01T01:20:00Z")


@pytest.mark.parametrize(
    ("projection", "told"),
    [
        ({"lag": 3, "confirmed": LATER}, ["PROJECTION:BEHIND"]),
        ({"lag": 3, "confirmed": LATER, "held": ["unreadable"]}, ["PROJECTION:HELD", "PROJECTION:BEHIND"]),
        ({"lag": None, "confirmed": LATER, "held": ["no-leader"]}, ["PROJECTION:HELD"]),
        ({"lag": 3, "confirmed": "2020-10-01T01:05:00Z"}, ["PROJECTION:STALE"]),
        ({"lag": 0, "confirmed": "2020-10-01T01:05:00Z"}, ["PROJECTION:STALE"]),
        ({"lag": None, "confirmed": None}, ["PROJECTION:STALE"]),
    ],
)  # fmt: skip
def test_a_worker_is_not_blamed_for_what_the_projection_may_lack(
    projection: Mapping[str, Any], told: list[str]
) -> None:
    """While reports may be missing nobody says that the worker is silent or its job late: that is not known."""
    assert codes_of({"reports": AT_WORK, "now": LATER, "projection": projection}) == told


def test_a_worker_was_silent_before_the_projection_stopped() -> None:
    """What was known to be late when the projection was confirmed last stays so."""
    projection = {"lag": 0, "confirmed": "2020-10-01T01:40:00Z"}
    told = codes_of({"reports": AT_WORK, "now": LATER, "projection": projection})
    assert told == ["PROJECTION:STALE", "WORKER:SILENT"]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_finished_job_says_how_it_ended_and_nothing_of_its_way(outcome: str) -> None:
    """A job that has ended is neither late nor silent, whatever it skipped and wherever the projection stands."""
    given = {"reports": [finished(outcome)], "now": "2030-10-01T01:00:00Z", "projection": {"lag": 3, "confirmed": None}}
    expected = {"succeeded": [], "failed": ["JOB:FAILED"], "cancelled": ["JOB:CANCELLED"]}
    assert codes_of(given) == expected[outcome]


@pytest.mark.parametrize(
    ("reports", "evidence"),
    [
        ([STARTED, report("running", "2020-10-01T00:59:58Z")], {"outOfOrder": ["running"]}),
        ([report("started", SOON, "2020-10-01T02:05:00Z")], {"late": ["started"], "seconds": 3600}),
        ([report("started", SOON, "2020-10-01T01:03:00Z")], {"ahead": ["started"], "seconds": 120}),
    ],
)
@pytest.mark.parametrize("end", [[], [finished()]], ids=["unfinished", "finished"])
def test_clocks_that_are_wrong_are_told(
    reports: list[dict[str, Any]], evidence: dict[str, Any], end: list[dict[str, Any]]
) -> None:
    """Dates out of order, or far from when they were recorded, are told with how far, and of finished jobs too."""
    [skewed] = [one for one in diagnosis_of({"reports": reports + end, "now": SOON}) if one["code"] == "CLOCK:SKEWED"]
    assert skewed["evidence"].items() >= evidence.items()
    assert skewed["actor"] == "worker"


def test_small_differences_of_clocks_are_not_told() -> None:
    """Two workers whose clocks differ by less than is shown, and a report that took a moment, are well."""
    reports = [
        report("started", "2020-10-01T01:00:00.9Z", "2020-10-01T01:00:00Z"),
        report("configuring", "2020-10-01T01:00:00.1Z", "2020-10-01T01:20:00Z"),
    ]
    assert codes_of({"reports": reports, "now": SOON}) == []


def test_a_stage_that_was_never_reported_is_told_until_the_end() -> None:
    """A later stage without an earlier one is told while the job goes on."""
    [skipped] = diagnosis_of({"reports": [STARTED, report("uploading", SOON)], "now": SOON})
    assert (skipped["code"], skipped["since"]) == ("STAGE:SKIPPED", SOON)
    assert skipped["evidence"] == {"stages": ["configuring", "running"], "furthest": "uploading"}


def test_refused_events_are_told_and_only_admins_see_where_they_are() -> None:
    """Reason and date are for everybody; the place in the log is for admins."""
    letters = [{"reason": "invalid-field", "date": "2020-10-01T01:03:00Z"}, {"reason": "unknown-type", "date": SOON}]
    given = {"reports": AT_WORK, "now": SOON, "refused": letters}
    timeline = timeline_of(given)
    assert timeline["refused"] == [
        {"reason": "unknown-type", "date": SOON, "record": None},
        {"reason": "invalid-field", "date": "2020-10-01T01:03:00Z", "record": None},
    ]
    [refused] = timeline["diagnosis"]
    assert (refused["code"], refused["since"], refused["evidence"]["count"]) == (
        "EVENTS:REFUSED",
        "2020-10-01T01:03:00Z",
        2,
    )
    assert timeline_of(given, View(is_admin=True))["refused"][0]["record"] == "job-events/0/101"


def test_what_cannot_be_known_is_said_to_be_so() -> None:
    """Nothing is claimed of a moment before the last news, of a clock that is behind, of what cannot be read."""
    late = report("running", "2020-10-01T02:00:00Z")
    now = "2020-10-01T03:00:00Z"
    past = {"reports": [*AT_WORK, late], "now": now, "asOf": "2020-10-01T01:40:00Z"}
    for case in (
        past,
        {"reports": [*AT_WORK, late], "now": "2020-10-01T01:03:00Z"},
        {"reports": AT_WORK, "now": SOON, "refused": None},
    ):
        [one] = diagnosis_of(case)
        assert one["code"] == "UNDETERMINED"
        assert one["evidence"]["unknown"]
    assert codes_of({"reports": [*AT_WORK, finished()], "now": SOON, "refused": None}) == []


REPORTS = st.lists(
    st.builds(
        report,
        st.sampled_from(STAGE_NAMES),
        st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
        st.none() | st.just("2020-10-01T01:00:00Z"),
    ),
    min_size=1,
    max_size=8,
)
GIVEN = st.fixed_dictionaries(
    {"reports": REPORTS, "now": st.just("2020-10-01T01:00:00Z")},
    optional={
        "refused": st.none() | st.just([{"reason": "not-json", "date": SOON}]),
        "projection": st.fixed_dictionaries(
            {
                "lag": st.none() | st.sampled_from([0, 3]),
                "confirmed": st.none() | st.sampled_from(["2020-10-01T01:00:00Z", "2019-10-01T01:00:00Z"]),
                "held": st.sampled_from([[], ["unreadable"]]),
            }
        ),
    },
)


@given(GIVEN, st.randoms(use_true_random=False))
def test_the_diagnosis_depends_on_what_is_known_alone(given: dict[str, Any], random: Random) -> None:
    """Whatever order events arrive in, and whatever is said of them: the answer meets its schema and is the same."""
    given["reports"] = [{**one, "offset": offset} for offset, one in enumerate(given["reports"])]
    timeline = timeline_of(given)
    jsonschema_rs.validate(dict(job_timeline.SCHEMA), timeline)
    shuffled = random.sample(given["reports"], len(given["reports"]))
    assert timeline_of({**given, "reports": shuffled})["diagnosis"] == timeline["diagnosis"]
    codes = [one["code"] for one in timeline["diagnosis"]]
    assert sorted(codes, key=CODES.index) == codes
    assert len(set(codes)) == len(codes)
    if timeline["status"] == 5:
        assert OF_FINISHED.issuperset(codes)


def test_the_table_says_which_causes_a_finished_job_may_have() -> None:
    """Neither late nor silent nor held is a job that has ended."""
    assert {cause.code for cause in CAUSES if cause.of_finished} == OF_FINISHED
