"""Fixtures: the system on a log of the test's own, and all that it says of how far that goes."""

import pytest

from tests.freshness.scene import Scene
from tests.support.deployment import Deployment


@pytest.fixture
def scene(deployment: Deployment) -> Scene:
    """A projector and an API that have nothing to do."""
    return Scene(deployment)
