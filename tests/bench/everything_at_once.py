"""Everything hostile at once, on the whole system: what clients, the other partitions and the memory notice of it.

The hostile clients of `hostile_clients`, while one partition is flooded with what takes long and becomes letters:
`python -m tests.bench.everything_at_once` prints what the good client, the other partitions and the processes notice.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.bench.hostile_clients import HUGE, LONG, ONE, Hostility, notice
from tests.support.client import Client
from tests.support.deployment import Deployment, Message
from tests.support.events import event
from tests.support.processes import started
from tests.support.record_batches import batch, record, write_batch
from tests.support.services import running_services
from tests.torture.system.resources import usage_of

FLOOD_RECORDS: Final = 8_000
RECORDS_PER_BATCH: Final = 100
FLOOD: Final = b"[" + b"[]," * 80_000 + b"[]]"
PARTITIONS: Final = 4
FOLD_SECONDS: Final = 300.0
PAUSE_SECONDS: Final = 0.2
LOOK_SECONDS: Final = 0.02


def events(hostility: Hostility) -> Iterator[Message]:
    """Yield an event of each job that is asked for, as `hostile_clients.seed` stores them."""
    urls = [f"http://example.net/{number:0980}" for number in range(hostility.huge_bytes // 1000)]
    for owner, agreement, name in ((LONG, "0xa1", "a"), ("0xbbbb", "0xb1", "b"), ("0xcccc", "0xc2", "c")):
        for number in range(hostility.listed):
            yield _message(owner, agreement, f"{name}-{number}")
    for number in range(hostility.huge_jobs):
        yield _message(HUGE, "0xd1", f"d-{number}", outputsURL=urls)
    yield _message(ONE, "0xe1", "one")


def _message(owner: str, agreement: str, job: str, **data: Any) -> Message:
    data = {"owner": owner, "agreementId": agreement, **data}
    return job.encode(), json.dumps(event(job=job, **data)).encode(), []


async def flood(deployment: Deployment) -> None:
    """Flood partition 0, and print how long an event of the others takes to be in Redis at the slowest."""
    servers = deployment.services.kafka_bootstrap_servers
    poison = batch([record(FLOOD, number) for number in range(RECORDS_PER_BATCH)], "zstd", RECORDS_PER_BATCH)
    for _ in range(FLOOD_RECORDS // RECORDS_PER_BATCH):
        await write_batch(servers, deployment.topic, 0, poison)
    slowest = 0.0
    number = 0
    while True:
        number += 1
        ends = {partition: deployment.positions()[str(partition)] + 1 for partition in range(1, PARTITIONS)}
        began = time.monotonic()
        for partition in ends:
            await deployment.send(event(job=f"good-{number}-{partition}"), partition)
        while any(deployment.positions()[str(partition)] < end for partition, end in ends.items()):
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(LOOK_SECONDS)
        sys.stdout.write(f"\rpartition 0 at {deployment.positions()['0']}, others at the slowest {slowest:.2f} s  ")
        await asyncio.sleep(PAUSE_SECONDS)


async def measure(deployment: Deployment, address: str, pids: tuple[int, int]) -> None:
    """Measure once and print it; `pids` are the API's and the projector's."""
    peak = [0.0]

    async def watch() -> None:
        while True:
            peak[0] = max(peak[0], usage_of(pids[1]).resident_kib / 1024)
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    async with Client(address) as api:
        flooding = asyncio.create_task(flood(deployment))
        noticed = await notice(api, pids[0], Hostility())
        if flooding.done():
            flooding.result()  # it goes on until it is cancelled, so it failed
        flooding.cancel()
        watching.cancel()
        await asyncio.gather(flooding, watching, return_exceptions=True)
    sys.stdout.write(f"\n{noticed}; the projector at most {peak[0]:.0f} MiB\n")


def main() -> None:
    """Start everything, measure, end it."""
    with tempfile.TemporaryDirectory() as name, running_services(Path(name) / "services") as services:
        directory = Path(name) / "deployment"
        directory.mkdir()
        with Deployment(services, f"all-{os.getpid()}", directory, partitions=PARTITIONS, start=started) as deployment:
            deployment.publish(events(Hostility()))
            projector = deployment.start_projector()
            deployment.wait_until_applied(FOLD_SECONDS)
            address = deployment.start_api()
            api = deployment._processes[-1]  # noqa: SLF001 - whose memory is looked at
            asyncio.run(measure(deployment, address, (api.pid, projector.pid)))
            sys.stdout.write(f"the projector {'runs' if projector.poll() is None else 'has ended'}\n")


if __name__ == "__main__":
    main()
