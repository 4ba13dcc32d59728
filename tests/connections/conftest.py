"""One Kafka broker with every way to prove who one is, for all tests of one process."""

from collections.abc import Iterator

import pytest

from tests.support.certificates import Certificates
from tests.support.secured_kafka import SecuredKafka, running_secured_kafka


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SecuredKafka, Certificates]]:
    """The broker and the certificates."""
    with running_secured_kafka(tmp_path_factory.mktemp("secured-kafka")) as started:
        yield started


@pytest.fixture
def secured_kafka(secured: tuple[SecuredKafka, Certificates]) -> SecuredKafka:
    """The broker."""
    return secured[0]


@pytest.fixture
def certificates(secured: tuple[SecuredKafka, Certificates]) -> Certificates:
    """The authority that vouches for it, and a client's certificate."""
    return secured[1]
