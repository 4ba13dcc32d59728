"""The file that authors of other clients hold theirs against: it says what the projector and the API do."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import orjson
import pytest

from projector.fold.job import FoldedJob
from schemas.decode import Reason, RefusedEventError, decode
from schemas.job_status import View, render
from schemas.redis_layout import STORED_FIELDS

FILE = Path(__file__).parents[2] / "examples" / "conformance" / "events.json"
CASES = json.loads(FILE.read_text(encoding="utf-8"))


def named(kind: str) -> pytest.MarkDecorator:
    """Return the cases of a kind, as parameters with their descriptions."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["what"]) for case in CASES[kind]])


def headers(case: dict[str, Any]) -> list[tuple[str, bytes]]:
    """Return the headers of a record."""
    return [(name, text.encode()) for name, text in case["headers"].items()]


@named("accepted")
def test_what_is_accepted(case: dict[str, Any]) -> None:
    """Each of these records is an event of the job that the file is about."""
    event = decode(orjson.dumps(case["value"]), headers(case), CASES["timestamp"])
    assert event.identity[:3] == ("0x1111", "0x2222", "3333")


@named("refused")
def test_what_is_refused(case: dict[str, Any]) -> None:
    """Each of these records is a dead letter with the reason that the file says."""
    with pytest.raises(RefusedEventError) as refusal:
        decode(orjson.dumps(case["value"]), headers(case), CASES["timestamp"])
    assert refusal.value.reason == case["reason"]


@named("folds")
def test_what_it_folds_to(case: dict[str, Any]) -> None:
    """The events give the answer in any order, and twice."""
    events = case["events"]
    for order in [*permutations(events), [*events, *events]]:
        assert answer(list(order)) == case["answer"]


def answer(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what an admin is shown of events, newest first."""
    jobs: dict[Any, FoldedJob] = {}
    for item in events:
        event = decode(orjson.dumps(item), (), CASES["timestamp"])
        jobs.setdefault(event.identity, FoldedJob(event.identity)).add(event, "")
    shown = []
    for identity, job in jobs.items():
        fields = dict(zip(("owner", "agreementId", "jobId", "attempt"), map(str, identity), strict=True))
        fields |= job.stages | job.details
        stored = [fields[name].encode() if name in fields else None for name in STORED_FIELDS]
        shown.append(render(tuple(stored), View(is_admin=True)))
    return sorted(filter(None, shown), key=lambda one: str(one["dateCreated"]), reverse=True)


def test_every_reason_is_met_but_those_of_bytes() -> None:
    """The file has an example of each reason that a value of JSON and its headers can have."""
    of_bytes = {"empty-value", "too-large", "not-json", "too-deep", "number-too-large", "invalid-header", "no-time"}
    assert {case["reason"] for case in CASES["refused"]} == {reason.value for reason in Reason} - of_bytes
