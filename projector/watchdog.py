"""The watchdog: a process that lives and gets nowhere is ended, so that a new one begins afresh.

Case 1: records are there, nothing hinders, and a partition does not move: its consumer is stuck.
Case 2: nothing is assigned to us, Kafka and Redis answer, and nobody else projects: the membership is stuck.
Case 3: there is trouble, and it does not end: it may be Kafka's or Redis', or that of a client in this process.
"""

import time
from typing import Final

from projector.assignment.assignment import Assignment
from projector.heartbeat import Heartbeat
from projector.projector import Projector
from service.errors import ServiceUnavailableError

STUCK_AFTER_SECONDS: Final = 60.0
HELPLESS_AFTER_SECONDS: Final = 600.0


class Watchdog:
    """Let look once a second, it raises ServiceUnavailableError when only a new process helps."""

    def __init__(self, projector: Projector, heartbeat: Heartbeat, assignment: Assignment) -> None:
        self._projector = projector
        self._heartbeat = heartbeat
        self._assignment = assignment
        self._without_trouble_at = self._projected_at = time.monotonic()

    async def look(self) -> None:
        """Look at our partitions, at what hinders all of them, and at whether anybody projects anything."""
        trouble = self._heartbeat.trouble or self._projector.trouble
        now = time.monotonic()
        if trouble is None:
            self._without_trouble_at = now
        if trouble or self._heartbeat.is_projected:
            self._projected_at = now
        for partition in self._assignment.partitions.values():
            if partition.end <= partition.applied or partition.hold or trouble:
                partition.progressed_at = now
            elif now - partition.progressed_at > STUCK_AFTER_SECONDS:
                raise ServiceUnavailableError(
                    f"{partition.name} stands at {partition.applied} of {partition.end} for {STUCK_AFTER_SECONDS} s, "
                    "and nothing hinders it: the consumer is stuck, start a new process"
                )
        if now - self._projected_at > STUCK_AFTER_SECONDS:
            raise ServiceUnavailableError(
                f"no partition was assigned for {STUCK_AFTER_SECONDS} s, and nobody else has any: the membership in "
                "the consumer group is stuck, start a new process"
            )
        if now - self._without_trouble_at > HELPLESS_AFTER_SECONDS:
            raise ServiceUnavailableError(f"{trouble}: that lasts for {HELPLESS_AFTER_SECONDS} s, start a new process")
