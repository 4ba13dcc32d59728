"""What the log has lost of jobs is taken from the live generation, and marked so."""

import asyncio
from pathlib import Path

from projector.store.ledger import ledgers
from schemas.redis_layout import CARRIED, bucket_prefix
from tests.support.deployment import Deployment
from tests.support.events import event, record
from tests.support.folded import JOBS
from tests.support.refold import stored
from tests.support.topics import delete_records


async def test_a_log_without_its_beginning_is_refused_or_carried_over(folded: Deployment) -> None:
    """Jobs whose events are gone from the log are named as lost, or taken from the live generation and marked."""
    before = stored(folded)
    cut = {number: end // 2 for number, end in (await folded.ends(folded.topic)).items()}
    for number, offset in cut.items():
        await delete_records(folded, number, offset)
    refusal = folded.command("projector", "rebuild", code=1)
    assert f"{folded.topic}/0: events 0 to {cut[0] - 1}" in refusal
    assert "--carry-over" in refusal
    assert folded.generation == 1
    assert "jobs carried over" in folded.command("projector", "rebuild", "--carry-over")
    after = stored(folded)
    marked = [fields.pop(CARRIED) for key, fields in after.items() if CARRIED in fields]
    assert set(marked) == {"g1"}
    assert len(marked) == JOBS
    assert after == before
    accounts = ledgers([folded.hash(bucket_prefix(folded.prefix, 2, 0) + "positions")])
    assert all(account.is_closed for account in accounts.values())
    folded.command("projector", "rebuild", "--carry-over")  # and once more, from the one that was carried
    assert {fields.pop(CARRIED) for fields in stored(folded).values() if CARRIED in fields} == {"g1"}


def test_what_is_damaged_is_not_carried_over(deployment: Deployment, tmp_path: Path) -> None:
    """A job that cannot be understood is named instead of being lost or carried on; once it is mended, all goes on."""
    deployment.publish([(b"key", record(0, event(job=job)).value, []) for job in ("old", "new")], 0)
    deployment.start_projector()
    deployment.wait_until_applied()
    asyncio.run(delete_records(deployment, 0, 1))
    (damaged,) = [key for key, fields in stored(deployment).items() if fields.get("jobId") == "new"]
    deployment.redis.hset(bucket_prefix(deployment.prefix, 1, 0) + damaged, "started", "rubbish")
    refusal = deployment.command("projector", "rebuild", "--carry-over", code=1)
    assert f"{damaged} holds no job" in refusal
    assert deployment.generation == 1
    deployment.command("projector", "verify", "--repair", "--report", str(tmp_path / "report"))
    assert "1 jobs carried over" in deployment.command("projector", "rebuild", "--carry-over")
    assert "everything equal" in deployment.command("projector", "verify")


async def test_a_detail_that_the_log_lost_is_carried_over(deployment: Deployment) -> None:
    """A message of a lost report comes along though the log still holds every stage, and nothing else does."""
    lost = event("running", time="2020-10-01T01:00:10Z", event_id="lost", message="only there")
    kept = event("running", time="2020-10-01T01:00:00Z", event_id="kept")
    await deployment.write([(b"key", record(0, item).value, []) for item in (lost, kept, event(job="other"))], 0)
    deployment.start_projector()
    await asyncio.to_thread(deployment.wait_until_applied)
    before = await asyncio.to_thread(stored, deployment)
    await delete_records(deployment, 0, 1)
    said = await asyncio.to_thread(deployment.command, "projector", "rebuild", "--carry-over", "--check")
    assert "1 jobs carried over" in said
    assert "compares generation 2 with the log" in said
    after = await asyncio.to_thread(stored, deployment)
    assert [fields.pop(CARRIED) for fields in after.values() if CARRIED in fields] == ["g1"]
    assert after == before
    await asyncio.to_thread(deployment.command, "projector", "verify")
