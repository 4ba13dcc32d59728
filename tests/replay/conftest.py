"""A projection with jobs in it, for tests that build it anew."""

import pytest

from tests.support.deployment import Deployment
from tests.support.folded import fold_jobs


@pytest.fixture
def folded(deployment: Deployment) -> Deployment:
    """A deployment with a running projector that has applied events of JOBS jobs and some rubbish."""
    fold_jobs(deployment)
    return deployment


@pytest.fixture
def stopped(folded: Deployment) -> Deployment:
    """The same, once its projector has ended."""
    folded.stop_all()
    return folded
