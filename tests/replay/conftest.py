"""A projection with jobs in it, for tests that build it anew."""

import asyncio

import pytest

from tests.support.deployment import Deployment, Message
from tests.support.events import event, record
from tests.support.streams import STAGES

JOBS = 300


@pytest.fixture
def folded(deployment: Deployment) -> Deployment:
    """A deployment with a running projector that has applied events of JOBS jobs and some rubbish."""
    messages: list[Message] = []
    for stage in STAGES:
        for number in range(JOBS):
            item = event(stage, job=f"job-{number}", event_id=stage, message=f"{stage} {number}")
            messages.append((f"job-{number}".encode(), record(0, item).value, []))
        messages.append((b"key", b"rubbish", []))
    asyncio.run(deployment.write(messages, None))
    deployment.start_projector()
    deployment.wait_until_applied()
    return deployment


@pytest.fixture
def stopped(folded: Deployment) -> Deployment:
    """The same, once its projector has ended."""
    folded.stop_all()
    return folded
