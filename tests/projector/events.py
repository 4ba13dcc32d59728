"""Events and records as tests write them."""

import zlib
from typing import Any, NamedTuple

import orjson

from schemas.lifecycle import STAGE_BY_NAME

STARTED_AT = "2020-10-01T01:00:00Z"


class TestRecord(NamedTuple):
    """A consumed record, with the members that the projector looks at."""

    __test__ = False

    topic: str
    partition: int
    offset: int
    value: bytes | None
    key: bytes | None = b"3333"
    timestamp: int = 1_601_514_000_000
    headers: tuple[tuple[str, bytes | None], ...] = ()


def event(stage: str = "started", *, time: str = STARTED_AT, job: str = "3333", id: str = "e1", **data: Any) -> dict[str, Any]:  # noqa: A002
    """Return an event that reports a stage of a job of owner 0x1111."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": "/workers/gpu-7",
        "type": STAGE_BY_NAME[stage].event_type,
        "time": time,
        "data": {"owner": "0x1111", "agreementId": "0x2222", "jobId": job, **data},
    }


def record(offset: int, value: dict[str, Any] | bytes | None, *, topic: str = "t", partition: int = 0) -> TestRecord:
    """Return the record of an event, or of any bytes."""
    return TestRecord(topic, partition, offset, orjson.dumps(value) if isinstance(value, dict) else value)


def stable_number(text: str) -> int:
    """Return a number that is always the same for a text."""
    return zlib.crc32(text.encode())
