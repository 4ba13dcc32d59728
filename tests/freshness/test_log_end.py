"""How far the log goes is told in one way by heartbeat, header, metric, readiness and doctor (docs/guarantees.md)."""

import asyncio
import re
from math import isfinite, isnan

import pytest

from schemas.redis_layout import HEARTBEATS, Heartbeat
from tests.freshness.scene import Scene
from tests.support.events import event
from tests.support.topics import admin, delete_records

HOUR_MILLISECONDS = 3_600_000


async def test_a_transaction_that_is_open(scene: Scene) -> None:
    """Events behind an open transaction are events that are missing, and what blocks them is said; then lag is 0."""
    name = f"{scene.deployment.topic}/0"
    producer = await scene.producer()
    try:
        await producer.begin_transaction()
        await scene.deployment.send(event(job="undecided"), 0, producer)
        for number in range(3):
            await scene.deployment.send(event(job=f"behind-{number}"), 0)
        await asyncio.to_thread(_says_that_it_is_blocked, scene, name)
        await producer.commit_transaction()
    finally:
        await producer.stop()
    await asyncio.to_thread(_says_that_all_is_applied, scene, name)


def _says_that_it_is_blocked(scene: Scene, name: str) -> None:
    scene.becomes(scene.told, (200, "4", "transaction"))
    assert scene.heartbeat() == "4 transaction"
    scene.reads(scene.readiness, 200, f"[!] partitions: {name} is blocked by a transaction: 4 records wait")
    assert scene.metric("projector_blocked_partitions") == 1
    assert scene.metric(f'projector_lag_events{{partition="{name}"}}') == 4
    said = scene.doctor(1)
    assert f"[-] lag: {name}: 4 events" in said
    assert f"[-] transaction: {name}: 4 records wait behind a transaction that is open" in said
    assert f"[-] held: {name}: transaction; end the producer's transaction" in said


def _says_that_all_is_applied(scene: Scene, name: str) -> None:
    scene.becomes(scene.told, (200, "0", None))  # behind the marker, too
    assert scene.heartbeat() == "5"
    scene.reads(scene.readiness, 200, "[+] partitions: ok")
    scene.becomes(lambda: scene.metric("projector_blocked_partitions"), 0)
    scene.becomes(lambda: scene.metric(f'projector_lag_events{{partition="{name}"}}'), 0)
    assert "[+] heartbeat: a projector confirms every partition" in scene.doctor(0)


@pytest.mark.long(12)
async def test_a_log_that_was_made_anew(scene: Scene) -> None:
    """Where the log is another one nobody knows what is missing, and everybody is told."""
    name = f"{scene.deployment.topic}/0"
    await asyncio.to_thread(scene.publish, *(f"job-{number}" for number in range(10)))
    await asyncio.to_thread(scene.deployment.wait_until_applied)
    await scene.make_log_anew()
    await asyncio.to_thread(scene.publish, "other-log")
    await asyncio.to_thread(scene.becomes, scene.told, (200, "unknown", "log-replaced"))
    assert scene.heartbeat() == "- log-replaced"
    # Where the log ended when that was noticed, perhaps before anything was in it.
    scene.reads(scene.readiness, 503, f"{name} is held: the log ends at ")
    scene.becomes(lambda: scene.metric('projector_held_partitions{code="log-replaced"}'), 1)
    assert isnan(scene.metric(f'projector_lag_events{{partition="{name}"}}'))
    said = await asyncio.to_thread(scene.doctor, 1)
    assert f"[-] held: {name}: log-replaced; the topic was re-created or cut" in said
    assert f"[-] log: {name} ends at 1, before position 10; the topic was re-created or cut" in said
    assert f"lag: {name}" not in said


@pytest.mark.long(20)
def test_the_only_projector_stops(scene: Scene) -> None:
    """Once nobody looks, nobody knows: answers stay, and say since when; a clock set back since changes nothing."""
    name = f"{scene.deployment.topic}/0"
    scene.publish("3333")
    scene.becomes(scene.told, (200, "0", None))
    assert isfinite(scene.api_metric("api_projection_lag_events"))
    assert "[+] heartbeat: a projector confirms every partition" in scene.doctor(0)
    assert scene.deployment.stop(scene.projector) == 0
    scene.becomes(scene.told, (200, "unknown", None))
    assert isnan(scene.api_metric("api_projection_lag_events"))
    _is_unconfirmed(scene, name)
    for field, stored in scene.deployment.heartbeats().items():
        ahead = Heartbeat.of(stored)
        ahead = ahead._replace(milliseconds=ahead.milliseconds + HOUR_MILLISECONDS)
        scene.deployment.redis.hset(scene.key(HEARTBEATS), field, ahead.stored)
    assert scene.told() == (200, "unknown", None)
    _is_unconfirmed(scene, name)
    scene.restart()
    scene.becomes(scene.told, (200, "0", None))


def _is_unconfirmed(scene: Scene, name: str) -> None:
    scene.reads(scene.api_readiness, 200, "[!] projection: how many events are missing is unknown, confirmed last at 2")
    said = scene.doctor(1)
    assert re.search(rf"\[-\] heartbeat: nobody has confirmed {name}, .*since 2\S+Z; start a projector", said)
    assert f"[+] lag: {name}: 0 events" in said


@pytest.mark.long(15)
async def test_events_that_are_gone(scene: Scene) -> None:
    """What the log has lost before it was read is no number, until a person decides."""
    name = f"{scene.deployment.topic}/0"
    await asyncio.to_thread(scene.publish, "job-0", "job-1")
    await asyncio.to_thread(scene.deployment.wait_until_applied)
    await asyncio.to_thread(scene.deployment.stop, scene.projector)
    await asyncio.to_thread(scene.publish, "job-2", "job-3", "job-4")
    await delete_records(scene.deployment, 0, 4)
    scene.restart()
    await asyncio.to_thread(scene.becomes, scene.told, (200, "unknown", "events-gone"))
    assert scene.heartbeat() == "- events-gone"
    scene.reads(scene.readiness, 503, f"{name} is held: events 2 to 3 are gone")
    scene.becomes(lambda: scene.metric('projector_held_partitions{code="events-gone"}'), 1)
    said = await asyncio.to_thread(scene.doctor, 1)
    assert f"[-] log: {name}: events 2 to 3 are gone; go on without them" in said
    assert f"[-] held: {name}: events-gone; go on without them" in said
    assert f"[-] lag: {name}: 3 events" in said


def test_a_damaged_key(scene: Scene) -> None:
    """What cannot be applied for a key of a wrong type is counted and named, and goes on once that is mended."""
    key = scene.key("jobid:damaged")
    scene.deployment.redis.set(key, "by somebody else")
    scene.publish("damaged", "behind", partition=1)
    _is_held(scene, 1, "damaged-key", 2)
    scene.deployment.redis.delete(key)
    scene.becomes(scene.told, (200, "0", None))


async def test_dead_letters_that_cannot_be_written(scene: Scene) -> None:
    """What waits for its dead letter is counted and named."""
    client = await admin(scene.deployment)
    await client.delete_topics([f"dlq.{scene.deployment.topic}"])
    await client.close()
    await scene.deployment.write([(b"key", b"rubbish", [])], 0)
    await asyncio.to_thread(_is_held, scene, 0, "letters-away", 1)


def _is_held(scene: Scene, partition: int, code: str, lag: int) -> None:
    scene.becomes(scene.told, (200, str(lag), code))
    assert scene.heartbeat(partition) == f"{lag} {code}"
    scene.reads(scene.readiness, 503, f"{scene.deployment.topic}/{partition} is held: ")
    scene.becomes(lambda: scene.metric(f'projector_held_partitions{{code="{code}"}}'), 1)
    scene.becomes(lambda: scene.api_metric(f'api_projection_held{{code="{code}"}}'), 1)
    scene.reads(scene.api_readiness, 200, f"[!] projection: {lag} events are missing, confirmed last at 2")


def test_a_rebuild_and_a_redis_that_was_emptied(scene: Scene) -> None:
    """After a switch the lag is told of the new generation; an emptied Redis is a 503, never a lag of 0."""
    scene.publish(*(f"job-{number}" for number in range(5)))
    scene.becomes(scene.told, (200, "0", None))
    scene.deployment.command("projector", "rebuild")
    assert scene.told() in {
        (200, "0", None),
        (200, "unknown", None),
    }  # a switch may take longer than a heartbeat counts
    scene.becomes(scene.told, (200, "0", None))
    assert scene.deployment.generation == 2
    scene.deployment.stop(scene.projector)
    scene.deployment.forget()
    assert scene.told()[0] == 503
    assert isnan(scene.api_metric("api_projection_lag_events"))
    assert "[-] projection: none yet" in scene.doctor(1)
    scene.restart()
    scene.becomes(scene.told, (200, "0", None))


def test_events_that_are_refused(scene: Scene) -> None:
    """Dead letters of the last day are worth a look, and no fault."""
    scene.deployment.publish([(b"key", b"rubbish", [])] * 2, 0)
    scene.deployment.wait_until_applied()
    scene.becomes(scene.told, (200, "0", None))
    assert "[!] dead letters: 2 in the last day; look at them: python -m projector dead-letters list" in scene.doctor(0)
