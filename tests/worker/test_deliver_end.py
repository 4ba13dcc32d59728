"""`status-worker deliver --watch` ends when it is asked to, whatever it is doing then."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from operator_status.commands import deliver
from operator_status.delivery.spool import Spool
from operator_status.event import ReportedJob, make_report
from operator_status.settings import KafkaSettings

CLOSING_SECONDS = 0.1


async def test_a_signal_while_its_producer_is_closed_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of Kafka that is being closed swallows the cancellation, and it ends all the same."""
    spool = Spool(str(tmp_path), "job-events")
    spool.keep(make_report(ReportedJob("0x1111", "0x2222", "3333", 1, "/workers/gpu-7"), "running", {}))
    looks = 0

    async def send_and_close(*_: Any) -> int:
        nonlocal looks
        looks += 1
        os.kill(os.getpid(), signal.SIGTERM)
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(10 * deliver.LOOK_SECONDS)
        return 0

    monkeypatch.setattr(deliver, "LOOK_SECONDS", CLOSING_SECONDS)
    monkeypatch.setattr(deliver, "_send_left", send_and_close)
    async with asyncio.timeout(10):
        await deliver._watch(KafkaSettings.load({}), spool)  # noqa: SLF001 - there is no public way to wait for it
    assert looks == 1
