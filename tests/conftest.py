"""Fixtures that every kind of test shares: the real services, and a topic and a key prefix of a test's own."""

import uuid
from collections.abc import Iterator

import pytest

from tests.support.deployment import Deployment
from tests.support.services import Services, running_services, source_of_services


def pytest_report_header() -> str:
    """Say which Kafka and Redis the tests run on."""
    return f"services: Kafka and Redis from {source_of_services()}"


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A real Kafka and a real Redis for the whole run."""
    with running_services(tmp_path_factory.mktemp("services")) as running:
        yield running


@pytest.fixture
def deployment(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A topic and a key prefix of the test's own, and the processes that the test starts on them."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    with Deployment(services, name, tmp_path_factory.mktemp("deployment")) as deployment:
        yield deployment
