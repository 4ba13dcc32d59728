"""What a follower reads of the log: up to where the live generation stands, and what is far from there by itself."""

import pytest
from aiokafka import TopicPartition

from projector.replay.follow import log_up_to_limit
from projector.replay.follow.log_up_to_limit import LogUpToLimit
from projector.settings import ProjectorSettings
from tests.support.deployment import Deployment

RECORDS, LIMIT, FAR = 20, 15, 6


async def polled(log: LogUpToLimit, item: TopicPartition, count: int) -> list[tuple[int, int, int]]:
    """Return what so many polls that gave records gave: where each began and ended, and how many they were."""
    found: list[tuple[int, int, int]] = []
    while len(found) < count:
        read = (await log.poll()).get(item)
        if read and read.records:
            found.append((read.records[0].offset, read.position, len(read.records)))
    return found


async def test_what_is_close_to_the_limit_is_read_by_itself(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is folded in large batches ends well before the limit, and nothing is left out or read twice."""
    monkeypatch.setattr(log_up_to_limit, "FAR_EVENTS", FAR)
    settings = ProjectorSettings.load(deployment.environment)
    log = LogUpToLimit(deployment.topic, [0], settings.kafka_client_options(), None)
    item = TopicPartition(deployment.topic, 0)
    await deployment.write([(b"key", b"value", [])] * RECORDS, 0)
    await log.start()
    try:
        await log.join()
        log.seek(item, 2)
        log.allow({item: LIMIT})
        far = LIMIT - FAR
        assert await polled(log, item, 2) == [(2, far, far - 2), (far, LIMIT, FAR)]
        log.allow({item: RECORDS})
        assert await polled(log, item, 1) == [(LIMIT, RECORDS, RECORDS - LIMIT)]
    finally:
        await log.stop()
