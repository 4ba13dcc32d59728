"""How far the log goes is told in one way by heartbeat, header, metric, readiness and doctor (docs/guarantees.md)."""

import asyncio
import re
from math import isfinite, isnan

import pytest

from tests.freshness.scene import Scene
from tests.support.events import event


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
    scene.reads(scene.readiness, 503, f"{name} is held: the log ends at 1, before position 10")
    scene.becomes(lambda: scene.metric('projector_held_partitions{code="log-replaced"}'), 1)
    said = await asyncio.to_thread(scene.doctor, 1)
    assert f"[-] held: {name}: log-replaced; the topic was re-created or cut" in said
    assert f"[-] log: {name} ends at 1, before position 10; the topic was re-created or cut" in said
    assert f"lag: {name}" not in said


@pytest.mark.long(15)
def test_the_only_projector_stops(scene: Scene) -> None:
    """Once nobody looks, nobody knows: answers stay, and say since when; the doctor finds it too."""
    name = f"{scene.deployment.topic}/0"
    scene.publish("3333")
    scene.becomes(scene.told, (200, "0", None))
    assert isfinite(scene.api_metric("api_projection_lag_events"))
    assert scene.deployment.stop(scene.projector) == 0
    scene.becomes(scene.told, (200, "unknown", None))
    assert isnan(scene.api_metric("api_projection_lag_events"))
    scene.reads(scene.api_readiness, 200, "[!] projection: how many events are missing is unknown, confirmed last at 2")
    said = scene.doctor(1)
    assert re.search(rf"\[-\] heartbeat: nobody has confirmed {name}, .*since 2\S+Z; start a projector", said)
    assert f"[+] lag: {name}: 0 events" in said


def test_events_that_are_refused(scene: Scene) -> None:
    """Dead letters of the last day are worth a look, and no fault."""
    scene.deployment.publish([(b"key", b"rubbish", [])] * 2, 0)
    scene.deployment.wait_until_applied()
    scene.becomes(scene.told, (200, "0", None))
    assert "[!] dead letters: 2 in the last day; look at them: python -m projector dead-letters list" in scene.doctor(0)
