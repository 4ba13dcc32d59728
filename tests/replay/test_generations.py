"""Generations: listed, switched back to, and dropped."""

import asyncio
import json
import signal
import time
from dataclasses import replace

import pytest

from projector.replay.rebuild import rebuild
from projector.settings import ProjectorSettings
from schemas.redis_layout import DROPPING, EPOCH, KEPT, LEASE, META, KeptGeneration, bucket_prefix, pointer_key
from service.redis import connect
from tests.support.deployment import Deployment, get, wait_for
from tests.support.events import event
from tests.support.folded import JOBS
from tests.support.refold import refold, stored


def generations(deployment: Deployment) -> dict[int, dict[str, object]]:
    """Return what `generations list --json` says, by number."""
    lines = deployment.command("projector", "generations", "list", "--json").splitlines()
    listed = [json.loads(line) for line in lines]
    return {one["generation"]: one for one in listed}


def keys_of(deployment: Deployment, number: int) -> list[bytes]:
    """Return the keys of a generation."""
    base = bucket_prefix(deployment.prefix, number, 0)
    return list(deployment.redis.scan_iter(match=base.replace("{", "[{]") + "*", count=10_000))


def test_the_list_says_what_each_generation_is(folded: Deployment) -> None:
    """State, jobs, size, position, distance to the log's end and times of every generation."""
    folded.command("projector", "rebuild")
    ends = {f"{folded.topic}/{number}": end for number, end in folded.log_ends().items()}
    listed = generations(folded)
    assert {number: one["state"] for number, one in listed.items()} == {1: "complete", 2: "live"}
    for one in listed.values():
        assert one["jobs"] == JOBS
        assert one["positions"] == ends
        assert one["behind"] == 0
        assert isinstance(one["bytes"], int)
        assert one["bytes"] > JOBS * 500
    assert str(listed[1]["retired"]) >= str(listed[2]["began"]) > "2026"
    table = folded.command("projector", "generations", "list").splitlines()
    assert table[0].split()[:4] == ["GENERATION", "STATE", "JOBS", "SIZE"]
    assert [line.split()[:3] for line in table[1:]] == [["1", "complete", str(JOBS)], ["2", "live", str(JOBS)]]


def test_rolling_back_brings_the_older_one_up_to_date_first(folded: Deployment) -> None:
    """What arrived since the switch is in the older generation before it goes live."""
    folded.command("projector", "rebuild")
    folded.publish_event(event("started", job="since"), 1)
    folded.wait_until_applied()
    before = stored(folded)
    assert "generation 1 is live again; generation 2 is kept" in folded.command("projector", "generations", "rollback")
    assert folded.generation == 1
    assert stored(folded) == before == refold(folded)


def test_rolling_back_at_once_says_how_far_behind_it_is(folded: Deployment) -> None:
    """With --now every answer is old and says its lag, until the projectors have caught up."""
    api = folded.start_api()
    folded.command("projector", "rebuild")
    for process in folded._processes[:1]:  # noqa: SLF001 - the projector would catch up at once
        folded.stop(process)
    folded.publish_event(event("finished", job="job-1", time="2019-01-01T00:00:00Z"), 0)
    projector = folded.start_projector()
    folded.wait_until_applied()
    folded.stop(projector)
    assert "behind until projectors have caught up" in folded.command("projector", "generations", "rollback", "--now")

    def answer() -> tuple[int, str, str]:
        status, headers, _ = get(api, "/api/v1/operator/status?jobId=job-1")
        return status, headers.get("Projection-Generation", ""), headers.get("Projection-Lag", "")

    wait_for(lambda: answer()[1] == "1", "the API reads generation 1")
    assert answer()[0] == 200
    assert answer()[2] in {"1", "unknown"}
    folded.start_projector()
    folded.wait_until_applied()
    wait_for(lambda: answer() == (200, "1", "0"), "it has caught up")
    assert stored(folded) == refold(folded)


def test_there_must_be_something_to_roll_back_to(folded: Deployment) -> None:
    """Without another complete generation, or with a number that is none, nothing happens."""
    assert "nothing to roll back to" in folded.command("projector", "generations", "rollback", code=1)
    folded.command("projector", "rebuild")
    assert "generation 7 cannot go live: 1 can" in folded.command("projector", "generations", "rollback", "7", code=1)
    assert folded.generation == 2


def test_the_live_generation_is_never_dropped(folded: Deployment) -> None:
    """Neither the live one nor one that is not there."""
    assert "generation 1 is live" in folded.command("projector", "generations", "drop", "1", code=1)
    assert "there is no generation 5" in folded.command("projector", "generations", "drop", "5", code=1)
    assert stored(folded) == refold(folded)


def test_a_drop_that_was_killed_is_finished_by_the_next(folded: Deployment) -> None:
    """A generation that is half gone is not switched to, and the next drop, or rebuild, takes the rest."""
    folded.command("projector", "rebuild")
    dropping = folded.start("projector", "generations", "drop", "1", "--wait", "3600")
    wait_for(lambda: generations(folded)[1]["state"] == "dropping", "it is marked")
    dropping.send_signal(signal.SIGKILL)
    dropping.wait()
    assert "nothing to roll back to" in folded.command("projector", "generations", "rollback", code=1)
    assert keys_of(folded, 1)
    assert "generation 1 is gone" in folded.command("projector", "generations", "drop", "1", "--wait", "0")
    assert keys_of(folded, 1) == []
    assert set(generations(folded)) == {2}
    assert stored(folded) == refold(folded)


def test_what_a_command_that_died_has_left_is_collected(folded: Deployment) -> None:
    """A rebuild into other buckets than the one that died removes what that one left."""
    dying = folded.start("projector", "rebuild", "--rate", "100", "--buckets", "2")
    wait_for(lambda: len(keys_of(folded, 2)) > 10, "it has begun")
    dying.send_signal(signal.SIGKILL)
    dying.wait()
    folded.command("projector", "rebuild")
    assert keys_of(folded, 2) == []
    assert set(generations(folded)) == {1, 3}
    assert stored(folded) == refold(folded)


def test_a_command_that_was_paused_changes_nothing_any_more(folded: Deployment) -> None:
    """Once its lease has ended and another epoch has begun, a rebuild that wakes up stops with a sentence."""
    rebuilding = folded.start("projector", "rebuild", "--rate", "100")
    wait_for(lambda: len(keys_of(folded, 2)) > 10, "it has begun")
    folded.redis.hdel(pointer_key(folded.prefix), LEASE)
    folded.redis.hincrby(pointer_key(folded.prefix), EPOCH, 1)
    assert rebuilding.wait(30) == 1
    assert "the lease on the generations was lost" in folded.logs()
    assert folded.generation == 1
    assert stored(folded) == refold(folded)


async def test_what_was_live_a_moment_ago_is_not_taken_from_its_readers(
    folded: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebuild that finishes a drop which was killed waits as long as that would have."""
    await asyncio.to_thread(folded.command, "projector", "rebuild")
    key = f"{KEPT}1"
    kept = KeptGeneration.from_json(1, await asyncio.to_thread(catalog_field, folded, key))
    folded.redis.hset(pointer_key(folded.prefix), key, replace(kept, state=DROPPING).as_json())
    monkeypatch.setattr(rebuild, "QUIET_SECONDS", 8.0)
    settings = ProjectorSettings.load(folded.environment)
    redis = connect(settings)
    try:
        rebuilding = asyncio.create_task(rebuild.rebuild(settings, redis, rebuild.Options()))
        while time.time() * 1000 < kept.retired + 7000:
            assert folded.redis.exists(bucket_prefix(folded.prefix, 1, 0) + META)
            await asyncio.sleep(0.1)
        await rebuilding
    finally:
        await redis.aclose()
    assert keys_of(folded, 1) == []
    assert folded.generation == 3


def catalog_field(deployment: Deployment, name: str) -> bytes:
    """Return a field of the catalog."""
    return deployment.hash(pointer_key(deployment.prefix))[name.encode()]
