"""Records that were accepted before and are refused now do not vanish in a rebuild without a word."""

import json

from schemas.redis_layout import POSITIONS, bucket_prefix, pointer_key
from tests.support.deployment import Deployment
from tests.support.refold import refold, stored


def accept_once_more(deployment: Deployment) -> str:
    """Have the live generation say that it has applied a record which is refused now; return the partition's name."""
    key = bucket_prefix(deployment.prefix, 1, 0) + POSITIONS
    field = next(name for name, count in deployment.hash(key).items() if name.endswith(b"#deadlettered") and int(count))
    partition = field.decode().partition("#")[0]
    deployment.redis.hincrby(key, field, -1)
    deployment.redis.hincrby(key, f"{partition}#applied", 1)
    return partition


def test_a_stricter_release_switches_only_when_it_is_told_to(folded: Deployment) -> None:
    """How many records of which partition are refused is said, nothing is switched, and each gets a letter at last."""
    before = stored(folded)
    partition = accept_once_more(folded)
    refusal = folded.command("projector", "rebuild", code=1)
    assert f"accepted are refused now (1 of {partition}), so nothing was switched" in refusal
    assert folded.generation == 1
    assert not list(folded.redis.scan_iter(match=f"{folded.prefix}:[{{]g2.*", count=10_000))
    assert b"generation:2" not in folded.hash(pointer_key(folded.prefix))
    assert stored(folded) == before
    letters = f"dlq.{folded.topic}"
    written = len(folded.records(letters))
    told = folded.command("projector", "rebuild", "--accept-refusals", "--json")
    facts = json.loads(next(line for line in told.splitlines() if line.startswith("{")))
    assert facts["live"] == folded.generation == 2
    assert facts["kept"] == 1
    assert facts["records"] == sum(folded.log_ends().values())
    assert len(folded.records(letters)) == 2 * written
    assert stored(folded) == refold(folded)
    assert "generation 3 is live" in folded.command("projector", "rebuild")


def test_the_generation_that_was_live_before_may_refuse_more(folded: Deployment) -> None:
    """A rollback goes to what was: its letters are written."""
    folded.command("projector", "rebuild")
    key = bucket_prefix(folded.prefix, 2, 0) + POSITIONS
    field = next(name for name, count in folded.hash(key).items() if name.endswith(b"#deadlettered") and int(count))
    folded.redis.hincrby(key, field, -1)
    told = folded.command("projector", "generations", "rollback", "--json")
    assert json.loads(next(line for line in told.splitlines() if line.startswith("{"))) == {"live": 1, "kept": 2}
    told = folded.command("projector", "generations", "drop", "2", "--wait", "0", "--json")
    assert json.loads(next(line for line in told.splitlines() if line.startswith("{")))["gone"] == 2
