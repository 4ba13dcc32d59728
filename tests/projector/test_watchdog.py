"""The watchdog ends a process that gets nowhere, and none that works slowly."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from projector.assignment.partition import Hold, Partition
from projector.assignment.silence import Silence
from projector.watchdog import HELPLESS_AFTER_SECONDS, STUCK_AFTER_SECONDS, Watchdog
from schemas.redis_layout import LETTERS_AWAY
from service.errors import ServiceUnavailableError


class Scene:
    """A watchdog with a clock that the test moves, and what it looks at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.silence = Silence()
        self.partition = Partition(TopicPartition("t", 0), (5,), 5, leader=1, applied=5, end=9)
        self.other = Partition(TopicPartition("t", 1), (9,), 9, leader=1, applied=9, end=9)
        partitions = {one.topic_partition: one for one in (self.partition, self.other)}
        self.projector = SimpleNamespace(trouble=None, succeeded_at=self.now)
        self.heartbeat = SimpleNamespace(trouble=None, is_projected=True)
        self.assignment = SimpleNamespace(partitions=partitions, silence=self.silence, held={})
        parts: Any = (self.projector, self.heartbeat, self.assignment)
        self.watchdog = Watchdog(*parts)

    def poll(self, seconds: float, *heard: str) -> None:
        """Have a poll taken so long, and brought something of some partitions."""
        self.silence.break_for(heard)
        self.silence.note([self.partition, self.other], heard, seconds)

    async def look_after(self, seconds: float) -> None:
        """Look once a second for so long."""
        for _ in range(int(seconds)):
            self.now += 1
            await self.watchdog.look()


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Return what a watchdog looks at: a partition that is behind, one that is not, no trouble."""
    return Scene(monkeypatch)


async def test_polls_that_wait_in_vain_end_the_process(scene: Scene) -> None:
    """A partition that has more, and brings nothing for a minute of waiting, has a stuck consumer."""
    scene.poll(STUCK_AFTER_SECONDS)
    await scene.look_after(5)
    scene.partition = Partition(TopicPartition("t", 0), (5,), 5, leader=1, applied=5, end=9)  # it is placed anew
    scene.assignment.partitions[scene.partition.topic_partition] = scene.partition
    scene.poll(1)
    with pytest.raises(ServiceUnavailableError, match="t/0 stands at 5 of 9"):
        await scene.watchdog.look()


async def test_who_is_busy_is_not_stuck(scene: Scene) -> None:
    """An hour without a poll that waited for it says nothing of a partition; one that brings something begins anew."""
    await scene.look_after(3_600)
    scene.poll(STUCK_AFTER_SECONDS)
    scene.poll(0.25, "t/0")
    scene.poll(STUCK_AFTER_SECONDS)
    await scene.look_after(5)


async def test_what_is_held_is_not_waited_for(scene: Scene) -> None:
    """A partition that is held for a reason ends nothing; nor does one that has brought all there is."""
    scene.partition.hold = Hold(LETTERS_AWAY, "its letters are not taken")
    scene.poll(2 * STUCK_AFTER_SECONDS)
    await scene.look_after(5)
    scene.partition.hold = None
    await scene.look_after(5)


async def test_trouble_without_a_success_ends_the_process(scene: Scene) -> None:
    """Trouble that lasts ends the process, which says what it is and what is held beside it."""
    scene.projector.trouble = "Timeout"
    scene.assignment.held = {"t/1": "a key has a wrong type"}
    await scene.look_after(HELPLESS_AFTER_SECONDS)
    with pytest.raises(ServiceUnavailableError, match=r"Timeout: .* \(t/1 is held: a key has a wrong type\)"):
        await scene.look_after(1)


async def test_trouble_between_successes_ends_nothing(scene: Scene) -> None:
    """Who works slowly, and meets trouble between one batch and the next, goes on."""
    scene.projector.trouble = "Timeout"
    for _ in range(10):
        await scene.look_after(HELPLESS_AFTER_SECONDS / 2)
        scene.projector.succeeded_at = scene.now
