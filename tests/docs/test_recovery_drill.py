"""The recovery drill of the operations' page: each situation is brought about, and its commands get out of it."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka.admin import NewPartitions

from schemas.redis_layout import FOLD_VERSION, JOB, bucket_prefix, pointer_key
from tests.support.deployment import Deployment
from tests.support.earlier import age
from tests.support.events import event, record
from tests.support.markdown import DOCS, Block, blocks
from tests.support.refold import refold, stored
from tests.support.services import Services
from tests.support.topics import admin

LIMIT_SECONDS = 240
DRILL = (DOCS / "operations.md").read_text().split("## Recovery drill", 1)[1].split("\n## ", 1)[0]
SECTIONS = dict(section.split("\n", 1) for section in DRILL.split("\n### ")[1:])


@pytest.fixture
def deployment(services: Services, tmp_path: Path) -> Iterator[Deployment]:
    """A projection with some jobs in it, and a running projector."""
    with Deployment(services, f"drill-{uuid.uuid4().hex[:12]}", tmp_path) as deployment:
        events = [event(stage, job=f"job-{number}") for stage in ("started", "running") for number in range(20)]
        deployment.publish((item["data"]["jobId"].encode(), record(0, item).value, []) for item in events)
        deployment.start_projector()
        deployment.wait_until_applied()
        yield deployment


def damage(deployment: Deployment) -> None:
    """Have one job lack a stage, as wrong code or another program leaves it."""
    base = bucket_prefix(deployment.prefix, deployment.generation, 0)
    key = next(deployment.redis.scan_iter(match=base.replace("{", "[{]") + JOB + "*", count=1000))
    deployment.redis.hdel(key, "running")
    assert stored(deployment) != refold(deployment)


def make_topic_anew(deployment: Deployment) -> None:
    """Delete the topic and create it again, with other events in it."""
    deployment.recreate_topic()
    events = [event("started", job=f"other-{number}") for number in range(100)]
    deployment.publish((item["data"]["jobId"].encode(), record(0, item).value, []) for item in events)


def move_topic(deployment: Deployment) -> None:
    """Turn to another topic with its own prefix and group, with the events of the first one in it."""
    messages = [(item.key, item.value, list(item.headers)) for item in deployment.records(deployment.topic)]
    for process in deployment._processes:  # noqa: SLF001 - as the drill says
        deployment.stop(process)
    deployment.forget()
    deployment.topic = deployment.prefix = f"{deployment.topic}-2"
    names = ("KAFKA_TOPIC", "REDIS_PREFIX", "KAFKA_GROUP_ID")
    deployment.environment |= dict.fromkeys(names, deployment.topic)
    deployment.command("projector", "topics", "create")
    deployment.publish(messages)
    deployment.start_projector()


def add_partitions(deployment: Deployment) -> None:
    """Add a partition, with an event in it."""

    async def add() -> None:
        client = await admin(deployment)
        try:
            await client.create_partitions({deployment.topic: NewPartitions(deployment.partitions + 1)})
        finally:
            await client.close()
        await deployment.send(event("started", job="elsewhere"), deployment.partitions)

    asyncio.run(add())


def age_and_stop(deployment: Deployment) -> None:
    """Have the projection be of the release before, whose projectors have been stopped."""
    for process in deployment._processes:  # noqa: SLF001 - as the drill says
        deployment.stop(process)
    age(deployment)


SITUATIONS: dict[str, Callable[[Deployment], None]] = {
    "Redis lost": Deployment.forget,
    "Wrong code deployed": damage,
    "Something else wrote into Redis": damage,
    "A topic was re-created while nobody looked": make_topic_anew,
    "Topic moved": move_topic,
    "Partitions added": add_partitions,
    "Upgrade without interruption": age,
    "Upgrade with interruption": age_and_stop,
}


def test_every_situation_is_brought_about() -> None:
    """No part of the drill is left out."""
    assert SECTIONS.keys() == SITUATIONS.keys()


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_drill_gets_out_of(situation: str, deployment: Deployment, tmp_path: Path) -> None:
    """The commands of the page end well, and what is live is what the log says."""
    SITUATIONS[situation](deployment)
    page = tmp_path / "section.md"
    page.write_text(SECTIONS[situation])
    expected = refold(deployment)
    for block in blocks(page)[:1]:
        run(block, deployment, tmp_path)
        assert stored(deployment) == expected
    for block in blocks(page)[1:]:
        run(block, deployment, tmp_path)
    assert deployment.hash(pointer_key(deployment.prefix))[b"fold"] == str(FOLD_VERSION).encode()


def run(block: Block, deployment: Deployment, directory: Path) -> None:
    """Run a block to its end."""
    done = subprocess.run(
        ["bash", "-euc", block.text.replace(".venv/bin/python", sys.executable)],
        cwd=directory,
        env=deployment.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}{done.stderr}"
