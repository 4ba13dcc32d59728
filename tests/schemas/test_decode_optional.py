"""Optional members as clients in other languages write them, and what follows from a member that is not given."""

from typing import Any

import orjson
import pytest

from schemas.decode import Reason
from schemas.job_event import DETAIL_NAMES, DETAILS, NOT_GIVEN, VALIDATOR
from schemas.lifecycle import STAGES
from tests.support.decoding import (
    GOOD,
    TIMESTAMP,
    accepted,
    good_event,
    refused,
    with_attributes,
    with_data,
    without,
)

OPTIONAL = ["attempt", *DETAIL_NAMES]


@pytest.mark.parametrize("empty", NOT_GIVEN, ids=repr)
@pytest.mark.parametrize("member", OPTIONAL)
def test_an_empty_member_is_not_given(member: str, empty: Any) -> None:
    """null, "" and [] in an optional member of the data are the same as leaving it out, and valid by the schema."""
    value = with_data(**{member: empty})
    left_out = without("data", member) if member in good_event()["data"] else GOOD
    assert accepted(value) == accepted(left_out)
    assert VALIDATOR.is_valid(orjson.loads(value))


@pytest.mark.parametrize("empty", NOT_GIVEN, ids=repr)
@pytest.mark.parametrize("attribute", ["time", "datacontenttype"])
def test_an_empty_attribute_is_not_given(attribute: str, empty: Any) -> None:
    """null, "" and [] in an optional attribute are the same as leaving it out, and valid by the schema."""
    value = with_attributes(**{attribute: empty})
    assert accepted(value) == accepted(without(attribute))
    assert VALIDATOR.is_valid(orjson.loads(value))


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
@pytest.mark.parametrize("empty", NOT_GIVEN, ids=repr)
def test_an_event_of_nothing_but_empty_members_is_a_report_of_its_stage(stage: Any, empty: Any) -> None:
    """What a serialiser of objects writes that have only an identity is understood, on every stage."""
    identity = {name: good_event()["data"][name] for name in ("owner", "agreementId", "jobId")}
    attributes = {"type": stage.event_type, "time": empty, "datacontenttype": empty, "subject": empty}
    event = accepted(with_attributes(**attributes, data=identity | dict.fromkeys(OPTIONAL, empty)))
    assert (event.stage, event.details, event.identity.attempt) == (stage, {}, 1)
    assert event.time == "2020-10-01T01:00:00.500000"


@pytest.mark.parametrize("empty", NOT_GIVEN, ids=repr)
def test_what_is_given_stays(empty: Any) -> None:
    """Empty members take nothing away from those that stand beside them."""
    given = {"algologURL": "http://example.net/a", "message": "50 %"}
    event = accepted(with_data(**given, outputsURL=empty, configlogURL=empty, publishlogURL=empty, colour=empty))
    assert event.details == given


@pytest.mark.parametrize("empty", [False, 0, {}, [[]], [None], [""], " "], ids=repr)
@pytest.mark.parametrize("member", [name for name in OPTIONAL if name not in ("message", "error")])
def test_what_only_looks_empty_is_given(member: str, empty: Any) -> None:
    """Nothing but null, "" and [] counts as not given."""
    assert refused(with_data(**{member: empty})) is Reason.INVALID_FIELD


@pytest.mark.parametrize("empty", NOT_GIVEN, ids=repr)
@pytest.mark.parametrize("member", ["owner", "agreementId", "jobId"])
def test_a_required_member_is_never_empty(member: str, empty: Any) -> None:
    """Who a job is cannot be left out by being empty."""
    assert refused(with_data(**{member: empty})) is Reason.INVALID_FIELD


@pytest.mark.parametrize("empty", NOT_GIVEN, ids=repr)
@pytest.mark.parametrize("attribute", ["specversion", "id", "source", "type", "data"])
def test_a_required_attribute_is_never_empty(attribute: str, empty: Any) -> None:
    """What makes an event cannot be left out by being empty."""
    assert refused(with_attributes(**{attribute: empty})) in (
        Reason.UNKNOWN_SPECVERSION,
        Reason.UNKNOWN_TYPE,
        Reason.INVALID_FIELD,
    )


@pytest.mark.parametrize("empty", ["missing", *NOT_GIVEN], ids=repr)
def test_an_error_without_an_outcome_is_a_failure(empty: Any) -> None:
    """Who says why a job failed need not say that it failed."""
    members = {"error": "out of memory"} | ({} if empty == "missing" else {"outcome": empty})
    details = accepted(with_data(**members)).details
    assert (details["outcome"], details["error"]) == ("failed", "out of memory")


@pytest.mark.parametrize("outcome", ["succeeded", "cancelled", "failed"])
def test_an_outcome_that_is_given_counts(outcome: str) -> None:
    """An error changes no outcome that is given."""
    assert accepted(with_data(error="out of memory", outcome=outcome)).details["outcome"] == outcome


@pytest.mark.parametrize("empty", ["missing", *NOT_GIVEN], ids=repr)
def test_without_an_error_nothing_is_said_of_the_outcome(empty: Any) -> None:
    """An event that gives neither error nor outcome leaves the outcome to other reports, as it always did."""
    members = {} if empty == "missing" else {"error": empty}
    assert "outcome" not in accepted(with_data(**members)).details


@pytest.mark.parametrize("stage", STAGES[:-1], ids=lambda stage: stage.name)
def test_an_error_before_the_end_is_no_failure(stage: Any) -> None:
    """On an earlier stage `error` is an unknown member, and the job goes on."""
    value = orjson.loads(with_data(error="out of memory")) | {"type": stage.event_type}
    assert accepted(orjson.dumps(value), (), TIMESTAMP).details.keys() <= DETAILS.keys()
