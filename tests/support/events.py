"""Events and records as tests write them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.lifecycle import STAGE_BY_NAME

STARTED_AT = "2020-10-01T01:00:00Z"


@dataclass
class PolledRecord:
    """A consumed record, with the members that the projector looks at."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    key: bytes | None = b"3333"
    timestamp: int = 1_601_514_000_000
    headers: Sequence[tuple[str, bytes | None]] = ()


def event(
    stage: str = "started", *, time: str = STARTED_AT, job: str = "3333", event_id: str = "e1", **data: Any
) -> dict[str, Any]:
    """Return an event that reports a stage of a job of owner 0x1111."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/workers/gpu-7",
        "type": STAGE_BY_NAME[stage].event_type,
        "time": time,
        "data": {"owner": "0x1111", "agreementId": "0x2222", "jobId": job, **data},
    }


def record(offset: int, value: dict[str, Any] | bytes | None, *, topic: str = "t", partition: int = 0) -> PolledRecord:
    """Return the record of an event, or of any bytes."""
    return PolledRecord(topic, partition, offset, orjson.dumps(value) if isinstance(value, dict) else value)
