"""Running verify inside a test."""

import asyncio
from typing import Any

from projector.replay.verify.comparison import verify
from projector.replay.verify.difference import Difference, Findings
from projector.replay.verify.moment import Options
from projector.settings import ProjectorSettings
from service.redis import connect
from tests.support.deployment import Deployment
from tests.support.refold import Content, refold, stored


def verified(deployment: Deployment, **options: Any) -> tuple[list[str], Findings]:
    """Return what verify says, line by line, and its findings."""
    lines: list[str] = []

    def found(difference: Difference, is_mended: bool) -> None:  # noqa: FBT001 - as verify calls it
        lines.append(f"{difference}{' (mended)' if is_mended else ''}")

    async def run() -> Findings:
        settings = ProjectorSettings.load(deployment.environment, {})
        redis = connect(settings)
        try:
            return await verify(settings, redis, Options(**options), found)
        finally:
            await redis.aclose()

    return lines, asyncio.run(run())


def assert_equal(deployment: Deployment, buckets: int = 1) -> Findings:
    """Return the findings of a verify that finds nothing, as an independent fold agrees."""
    lines, findings = verified(deployment)
    assert lines == []
    assert findings.is_right
    assert "everything equal" in str(findings)
    assert all_stored(deployment, buckets) == refold(deployment)
    return findings


def all_stored(deployment: Deployment, buckets: int) -> Content:
    """Return what all buckets hold together of jobs and indexes."""
    content: Content = {}
    for bucket in range(buckets):
        for key, held in stored(deployment, bucket).items():
            content.setdefault(key, {}).update(held)
    return content
