"""Clients that ask for as much as they can and take as little, a few of each; the bench takes hundreds."""

from pathlib import Path

import pytest

from tests.bench.hostile_clients import Hostility, notice, seed
from tests.support.api_process import served
from tests.support.client import Client
from tests.support.processes import started
from tests.support.seeding import Projection

pytestmark = pytest.mark.alone

FEW = Hostility(readers=150, searches=3, pages=2, listed=4000, huge_jobs=4, seconds=4.0)
# What others wait at most, and how much more the process holds at most, while all that goes on.
P99_SECONDS = 1.0
HELD_MIB = 100


async def test_hostile_clients_stop_nobody(redis_url: str, projection: Projection, tmp_path: Path) -> None:
    """Others are answered while they are there, memory stays small, and who reads a little each second is let live."""
    await seed(projection, FEW)
    with served(started, tmp_path, REDIS_URL=redis_url, REDIS_PREFIX=projection.prefix) as running:
        async with Client(await running.address()) as api:
            noticed = await notice(api, running.process.pid, FEW)
    assert noticed.alive == FEW.readers, noticed
    assert noticed.peak_mib < noticed.base_mib + HELD_MIB, noticed
    assert noticed.p99 < P99_SECONDS, noticed
