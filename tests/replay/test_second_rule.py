"""The rule of the fold is written twice: both say the same of whatever is reported, and a fault in one is found."""

import asyncio

import pytest
from hypothesis import given
from redis.asyncio import Redis

from projector.fold.job import FoldedJob
from projector.fold.stored_job import fields_of as first_fields_of
from projector.replay.verify.facts import Facts
from projector.replay.verify.stored_form import facts_in, fields_of
from schemas.identity import job_member
from schemas.job_event import JobEvent
from tests.support.broken_fold import BREAKAGES, BROKEN_FOLD
from tests.support.deployment import Deployment
from tests.support.events import event
from tests.support.reports import IDENTITY, REPORTS
from tests.support.verifying import verified
from tests.torture.judging.anomalies import Anomaly, Name
from tests.torture.judging.comparison import compare_stored
from tests.torture.judging.truth import Truth

BROKEN_PROJECTOR = "tests.support.broken_fold"
# What verify says of each breakage, at least.
SAID = {
    "a stage keeps the later report": "attempt=1: field started",
    "a detail keeps the smaller value": "attempt=1: field message",
    "a detail of a lower stage wins": "attempt=1: field message",
    "created is the latest stage": "attempt=1: score owner:0x1111",
    "a detail is lost": "attempt=1: field message",
    "signs of life are lost": "attempt=1: field news",
    "attempts are mixed": "attempt=2: missing job",
}
EVENTS = [
    event("started", event_id="s1", time="2020-10-01T01:00:00Z"),
    event("started", event_id="s2", time="2020-10-01T01:05:00Z"),
    event("running", event_id="r1", time="2020-10-01T01:10:00Z", message="10 %"),
    event("running", event_id="r2", time="2020-10-01T01:11:00Z", message="20 %"),
    event("configuring", event_id="c1", time="2020-10-01T01:20:00Z", message="late news of an early stage"),
    event("started", event_id="s3", time="2020-10-01T01:30:00Z", attempt=2),
]


def fold(reports: list[tuple[JobEvent, str]]) -> FoldedJob:
    """Return the job that these reports give by the first rule."""
    job = FoldedJob(IDENTITY)
    for reported, record in reports:
        job.add(reported, record)
    return job


@given(REPORTS)
def test_both_rules_say_the_same(reports: list[tuple[JobEvent, str]]) -> None:
    """What is stored by the one rule is what the other one gives, for any reports in any order."""
    facts = Facts(IDENTITY)
    for reported, record in reports:
        facts.report(reported, record)
    first = fold(reports)
    assert fields_of(facts.kept) == first_fields_of(first)
    assert facts.kept.created == first.created


@given(REPORTS)
def test_what_is_stored_is_understood_again(reports: list[tuple[JobEvent, str]]) -> None:
    """The facts that a stored job holds are those it was stored from."""
    fields = first_fields_of(fold(reports))
    stored = facts_in(fields, job_member(IDENTITY).encode())
    assert stored is not None
    assert fields_of(*stored) == fields


def test_each_breakage_is_expected() -> None:
    """Nothing can be broken of which nobody says what is found."""
    assert SAID.keys() == BREAKAGES.keys()


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_fault_in_the_fold_is_found(deployment: Deployment, breakage: str) -> None:
    """Whatever kind of register is folded wrong: verify, `rebuild --check` and the judge of the torture say so."""
    for reported in EVENTS:
        deployment.publish_event(reported, 0)
    process = deployment.start(BROKEN_PROJECTOR, "run", **{BROKEN_FOLD: breakage})
    deployment.wait_until_applied()
    lines, findings = verified(deployment)
    assert any(SAID[breakage] in line for line in lines), lines
    assert not findings.is_right
    said = deployment.command(BROKEN_PROJECTOR, "rebuild", "--check", code=1, **{BROKEN_FOLD: breakage})
    assert "was not switched to, it differs from the log" in said
    assert SAID[breakage].split(": ")[1].split()[0] in said
    assert asyncio.run(judged(deployment))
    deployment.stop(process)


async def judged(deployment: Deployment) -> list[Anomaly]:
    """Return what the judge of the torture says of what is stored."""
    truth = Truth()
    for record in await deployment.read(deployment.topic):
        truth.add(record)
    redis = Redis.from_url(deployment.services.redis_url)
    try:
        anomalies = await compare_stored(redis, deployment.prefix, truth)
    finally:
        await redis.aclose()
    return [anomaly for anomaly in anomalies if anomaly.name != Name.OPEN_LEDGER]
