"""A running system for the jobs of the examples."""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.examples import System, browser_page
from tests.support.services import Services


@pytest.fixture(scope="module")
def system(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running system, whose API's address is ADDRESS."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("examples")
        running = stack.enter_context(System(services, f"examples-{uuid.uuid4().hex[:8]}", folder))
        running.start_projector()
        running.environment["ADDRESS"] = running.start_api()
        if os.environ.get("EXAMPLES_ON_PAGE"):
            running.page = stack.enter_context(browser_page())
        yield running


@pytest.fixture
def job() -> str:
    """A job of the test's own."""
    return f"job-{uuid.uuid4().hex[:8]}"
