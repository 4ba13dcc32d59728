"""The watchdog: a process that lives and gets nowhere is ended, so that a new one begins afresh.

Case 1: records of a partition are there, and polls wait for them in vain: its consumer is stuck. Who is busy with other
        partitions does not wait, and one that is slow does not either.
Case 2: nothing is assigned to us, Kafka and Redis answer, and nobody else projects: the membership is stuck.
Case 3: there is trouble, and no batch gets into Redis: it may be Kafka's or Redis', or that of a client of ours.
A partition that is held for a reason of its own (a letter that is not taken, a key of a wrong type) ends nothing; what
is held is told beside what ends the process.
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
        elif not self._heartbeat.trouble:  # between two looks there may have been a success
            self._without_trouble_at = max(self._without_trouble_at, self._projector.succeeded_at)
        if trouble or self._heartbeat.is_projected:
            self._projected_at = now
        for partition in self._assignment.partitions.values():
            if partition.is_behind and self._assignment.silence.of(partition) > STUCK_AFTER_SECONDS:
                raise ServiceUnavailableError(
                    f"{partition.name} stands at {partition.applied} of {partition.end}, and polls have waited for it "
                    f"for {STUCK_AFTER_SECONDS} s while nothing hinders it: the consumer is stuck, start a new process"
                    + self._held()
                )
        if now - self._projected_at > STUCK_AFTER_SECONDS:
            raise ServiceUnavailableError(
                f"no partition was assigned for {STUCK_AFTER_SECONDS} s, and nobody else has any: the membership in "
                "the consumer group is stuck, start a new process"
            )
        if now - self._without_trouble_at > HELPLESS_AFTER_SECONDS:
            raise ServiceUnavailableError(
                f"{trouble}: that lasts for {HELPLESS_AFTER_SECONDS} s, start a new process{self._held()}"
            )

    def _held(self) -> str:
        """Return what is held, as a part of a sentence."""
        held = [f"{name} is held: {reason}" for name, reason in self._assignment.held.items()]
        return f" ({'; '.join(held)})" if held else ""
