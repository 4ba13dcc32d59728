"""A log made anew: the topic is deleted and created again under the running programs, and is shorter then."""

import asyncio
import time
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from tests.torture.system.limits import TooLongError, stopped, within
from tests.torture.system.log_reader import topic_exists
from tests.torture.system.system import System
from worker.simulation import Mix, events

STEP_SECONDS: Final = 30.0
GONE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.2
NEW_JOBS: Final = 60
JOBS_OF_NEW_LOGS: Final = 3 * 10**12  # beyond the seeds of all other jobs


async def make_log_anew(system: System, seed: int) -> None:
    """Delete the topic, create it again and report some jobs."""
    admin = AIOKafkaAdminClient(bootstrap_servers=system.bootstrap_servers)
    try:
        await within(STEP_SECONDS, "an administrator to connect", admin.start())
        await within(STEP_SECONDS, "the topic to be deleted", admin.delete_topics([system.topic]))
    finally:
        await stopped("an administrator", admin.close())
    deadline = time.monotonic() + GONE_SECONDS
    while await topic_exists(system.bootstrap_servers, system.topic):
        if time.monotonic() > deadline:
            raise TooLongError(f"the topic was deleted, and is there after {GONE_SECONDS:.0f} s")
        await asyncio.sleep(POLL_SECONDS)
    await system.create_topic()
    await _report_some(system, seed)


async def _report_some(system: System, seed: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=system.bootstrap_servers)
    try:
        await within(STEP_SECONDS, "a producer to connect", producer.start())
        for record in events(seed=JOBS_OF_NEW_LOGS + seed, jobs=NEW_JOBS, mix=Mix()):
            await within(STEP_SECONDS, "a record to be taken", producer.send(system.topic, record.value, record.key))
        await within(STEP_SECONDS, "the new log to be written", producer.flush())
    finally:
        await stopped("a producer", producer.stop())
