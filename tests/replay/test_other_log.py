"""Where the log is not the one that was folded it is told, and nothing that is stored is given up for it."""

import pytest

from schemas.redis_layout import FINGERPRINT, JOB, POSITIONS, bucket_prefix
from service.errors import CommandError
from tests.support.deployment import Deployment, wait_for
from tests.support.events import event, record
from tests.support.refold import refold, stored
from tests.support.verifying import verified

FIRST, SECOND = 20, 60


def publish(deployment: Deployment, name: str, count: int) -> None:
    """Report that so many jobs have started."""
    events = [event("started", job=f"{name}-{number}") for number in range(count)]
    deployment.publish((item["data"]["jobId"].encode(), record(0, item).value, []) for item in events)


@pytest.fixture
def folded(deployment: Deployment) -> Deployment:
    """A projection of some jobs, whose projector has ended."""
    publish(deployment, "first", FIRST)
    process = deployment.start_projector()
    deployment.wait_until_applied()
    deployment.stop(process)
    return deployment


@pytest.mark.parametrize("count", [0, SECOND], ids=["shorter", "longer"])
def test_a_topic_that_was_made_anew_costs_no_job(folded: Deployment, count: int) -> None:
    """It is told for each partition, `--repair` changes nothing, and `--trust-log` makes the new log count."""
    before = stored(folded)
    assert sum(key.startswith(JOB) for key in before) == FIRST
    folded.recreate_topic()
    if count:
        publish(folded, "second", count * folded.partitions)
    said, findings = verified(folded)
    about_the_log = [line for line in said if "it is another log" in line or line.startswith("position")]
    assert len(about_the_log) == folded.partitions
    assert not findings.is_right
    with pytest.raises(CommandError, match="not the one that was folded"):
        verified(folded, repair=True)
    assert stored(folded) == before
    told = folded.command("projector", "rebuild", code=1)
    assert ("is another one than the log has" if count else "and the log ends at 0") in told
    assert folded.generation == 1
    assert stored(folded) == before
    said, findings = verified(folded, repair=True, trust_log=True)
    assert findings.is_right, said
    if not count:
        assert not any(key.startswith(JOB) for key in stored(folded))
        return
    process = folded.start_projector()
    folded.wait_until_applied()
    folded.stop(process)
    assert stored(folded) == refold(folded)


def test_a_projector_that_holds_a_partition_for_its_log_goes_on_once_that_is_trusted(deployment: Deployment) -> None:
    """Also where the new log is longer, so that no position has to move."""
    publish(deployment, "first", FIRST)
    deployment.start_projector()
    deployment.wait_until_applied()
    deployment.recreate_topic()
    publish(deployment, "second", SECOND * deployment.partitions)
    wait_for(lambda: deployment.logs().count("is another one") >= deployment.partitions, "that all are held")
    assert verified(deployment, repair=True, trust_log=True)[1].is_right
    deployment.wait_until_applied()
    assert stored(deployment) == refold(deployment)


def test_a_fingerprint_of_another_record_is_told_once(folded: Deployment) -> None:
    """The line names both records; a position that somebody set back alone is no other log."""
    key = bucket_prefix(folded.prefix, 1, 0) + POSITIONS
    name, position = next((field, int(value)) for field, value in folded.hash(key).items() if b"#" not in field)
    field = name + FINGERPRINT.encode()
    right = folded.hash(key)[field].decode()
    folded.redis.hset(key, field, f"{position - 1}:00000000")
    said, _ = verified(folded)
    was = f"the last record applied was {position - 1}:00000000"
    assert said == [f"{name.decode()}: {was}, the log has {right!r}: it is another log"]
    assert verified(folded, repair=True, trust_log=True)[1].is_right
    assert folded.hash(key)[field].decode() == right
