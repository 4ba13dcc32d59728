"""A projection with jobs in it, for tests that build it anew."""

import asyncio

from tests.support.deployment import Deployment, Message
from tests.support.events import event, record
from tests.support.streams import STAGES

JOBS = 300


def fold_jobs(deployment: Deployment) -> None:
    """Write events of JOBS jobs and some rubbish, start a projector, and return once it has applied them."""
    messages: list[Message] = []
    for stage in STAGES:
        for number in range(JOBS):
            item = event(stage, job=f"job-{number}", event_id=stage, message=f"{stage} {number}")
            messages.append((f"job-{number}".encode(), record(0, item).value, []))
        messages.append((b"key", b"rubbish", []))
    asyncio.run(deployment.write(messages, None))
    deployment.start_projector()
    deployment.wait_until_applied()
