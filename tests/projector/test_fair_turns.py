"""What floods one partition slows that one alone."""

import asyncio
import time

import pytest

from tests.support.deployment import Deployment, wait_for
from tests.support.events import event
from tests.support.record_batches import batch, record, write_batch

# Much to read and to parse, a few bytes in the log, and no event.
POISON = b"[" + b"[]," * 80_000 + b"[]]"
BATCHES = 8
BATCH_RECORDS = 50
GOOD_PARTITIONS = (1, 2)
PAUSE_SECONDS = 0.2
VISIBLE_WITHIN_SECONDS = 4.0  # two, and some for the tests beside it


@pytest.mark.long(25)
async def test_a_flood_on_one_partition_slows_only_itself(deployment: Deployment) -> None:
    """While one partition is full of what takes long and becomes letters, events of others are seen within 2 s."""
    flood = batch([record(POISON, number) for number in range(BATCH_RECORDS)], "zstd", BATCH_RECORDS)
    for partition in GOOD_PARTITIONS:
        await deployment.send(event(job=f"first-{partition}"), partition)
    process = deployment.start_projector()
    wait_for(lambda: len(deployment.positions()) == len(GOOD_PARTITIONS), "it projects")
    servers = deployment.services.kafka_bootstrap_servers
    for _ in range(BATCHES):
        await write_batch(servers, deployment.topic, 0, flood)
    sent = 1
    while deployment.positions().get("0", 0) < BATCHES * BATCH_RECORDS:
        began = time.monotonic()
        for partition in GOOD_PARTITIONS:
            await deployment.send(event(job=f"job-{sent}-{partition}"), partition)
        sent += 1
        while not all(deployment.positions()[str(partition)] == sent for partition in GOOD_PARTITIONS):
            assert time.monotonic() - began < VISIBLE_WITHIN_SECONDS, deployment.positions()
            await asyncio.sleep(0.02)
        await asyncio.sleep(PAUSE_SECONDS)
    assert process.poll() is None
    assert sent > 2, "the flood was over too soon to tell"
