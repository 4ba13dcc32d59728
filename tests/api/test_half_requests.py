"""Half requests, more at once than there may be connections; the bench takes 10,000."""

from pathlib import Path

import pytest

from api.web.connections import KEPT_CONNECTIONS, MAX_CONNECTIONS
from tests.bench.half_requests import notice
from tests.support.api_process import server
from tests.support.seeding import Job, Projection

pytestmark = pytest.mark.alone

HALVES = MAX_CONNECTIONS + 2 * KEPT_CONNECTIONS
ANSWERED_SECONDS = 1.0


async def test_half_requests_lock_nobody_out(redis_url: str, projection: Projection, tmp_path: Path) -> None:
    """All come at once: who asks, health checks too, is answered within a second, and the log counts what was cut."""
    await projection.put([Job()])
    with server(tmp_path, REDIS_URL=redis_url, REDIS_PREFIX=projection.prefix) as running:
        noticed = await notice(running, HALVES)
    assert noticed.live_seconds < ANSWERED_SECONDS, noticed
    assert noticed.query_seconds < ANSWERED_SECONDS, noticed
    assert "room_for_others=" in noticed.cut, noticed
