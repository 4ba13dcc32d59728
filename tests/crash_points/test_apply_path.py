"""Wherever in its apply path the projector is killed, the next one ends right."""

import asyncio
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from projector.letters.headers import HEADER_PREFIX
from projector.log.topics import create_topics
from projector.settings import ProjectorSettings
from projector.store.ledger import ledgers
from schemas.redis_layout import POSITIONS, bucket_prefix
from tests.support.deployment import Deployment, Message
from tests.support.events import event, record
from tests.support.points import project, run_in_child
from tests.support.refold import Content, refold, stored
from tests.support.services import Services

# 1 takes every point (as `make torture` does); `make test` takes every third.
STRIDE = int(os.environ.get("CRASH_POINT_STRIDE", "3"))
BAD = ("0", 2)  # partition and offset of the record that is not an event


@dataclass
class Scene:
    """A log that is already there, what must come of it, and a new projection for each run."""

    deployment: Deployment
    expected: Content
    ends: dict[str, int]

    def begin(self) -> None:
        """Turn to a projection, a group and a dead-letter topic that nobody has used."""
        self.deployment.prefix = f"crash-{uuid.uuid4().hex[:12]}"
        asyncio.run(create_topics(self.settings(), 1, 1))

    def settings(self) -> ProjectorSettings:
        """Return settings of a projector of the present projection, in a group of its own."""
        names = {
            "REDIS_PREFIX": self.deployment.prefix,
            "KAFKA_GROUP_ID": uuid.uuid4().hex,
            "KAFKA_DEAD_LETTER_TOPIC": self.letters_topic,
        }
        return ProjectorSettings.load(self.deployment.environment | names)

    @property
    def letters_topic(self) -> str:
        """The dead-letter topic of the present projection."""
        return f"dlq.{self.deployment.prefix}"

    def positions(self) -> dict[str, int]:
        """Return where the present projection stands; safe in a child process, which must not share a connection."""
        with closing(Redis.from_url(self.deployment.services.redis_url)) as redis:
            fields: dict[bytes, bytes] = redis.hgetall(self.positions_key)  # type: ignore[assignment]
        return {name.decode().rpartition("/")[2]: int(value) for name, value in fields.items() if b"#" not in name}

    @property
    def positions_key(self) -> str:
        """The key of the stored positions."""
        return bucket_prefix(self.deployment.prefix, 1, 0) + POSITIONS

    def letters(self) -> set[bytes | None]:
        """Return the offsets of the records that have a letter."""
        return {
            dict(letter.headers)[HEADER_PREFIX + "offset"] for letter in self.deployment.records(self.letters_topic)
        }

    def run(self, wanted: int = 0) -> tuple[int, int]:
        """Run a projector until it has applied everything or dies at the wanted point."""
        return run_in_child(
            lambda points: project(self.settings(), lambda: self.positions() == self.ends, points), wanted
        )


@pytest.fixture
def scene(services: Services, tmp_path: Path) -> Iterator[Scene]:
    """A log of a few jobs in two partitions, with a duplicate and a record that is not an event."""
    name = f"crash-{uuid.uuid4().hex[:12]}"
    with Deployment(services, name, tmp_path, partitions=2) as deployment:
        for partition in (0, 1):
            stages = ("started", "running", "finished")
            events = [event(stage, job=job, event_id=stage) for stage in stages for job in ("one", "two")]
            messages: list[Message] = [(b"key", record(0, item).value, []) for item in (*events, events[0])]
            if partition == 0:
                messages.insert(BAD[1], (b"key", b"rubbish", []))
            deployment.publish(messages, partition)
        ends = {str(number): end for number, end in deployment.log_ends().items()}
        yield Scene(deployment, refold(deployment), ends)


@pytest.mark.long(120)
@pytest.mark.timeout(1800)
def test_killed_at_any_point_of_the_apply_path(scene: Scene) -> None:
    """Killed before or after any await, the projector leaves what the next one completes, byte for byte."""
    scene.begin()
    points, killed_by = scene.run()
    assert killed_by == 0
    assert points > 20
    killed = 0
    for wanted in range(1, points + 1, STRIDE):
        scene.begin()
        _, killed_by = scene.run(wanted)
        killed += killed_by == signal.SIGKILL
        if scene.positions().get(BAD[0], 0) > BAD[1]:
            assert scene.letters() == {b"2"}, f"point {wanted}: the position passed a record that has no letter"
        assert scene.run()[1] == 0
        assert stored(scene.deployment) == scene.expected, f"point {wanted}"
        assert scene.letters() == {b"2"}, f"point {wanted}"
        accounts = ledgers([scene.deployment.hash(scene.positions_key)])
        assert all(account.is_closed for account in accounts.values()), f"point {wanted}"
        scene.deployment.forget()
    # How many points there are depends on how the records arrive: of those counted first, some are not reached again.
    assert killed >= len(range(1, points + 1, STRIDE)) / 2
