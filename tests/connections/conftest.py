"""One Kafka broker with every way to prove who one is for all tests of one process, and a Redis of each test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import Certificates
from tests.support.secured_kafka import SecuredKafka
from tests.support.tls_redis import TlsRedis


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, and what it vouches for."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[SecuredKafka]:
    """The broker."""
    with SecuredKafka(tmp_path_factory.mktemp("secured-kafka"), certificates) as kafka:
        yield kafka


@pytest.fixture
def tls_redis(tmp_path: Path, certificates: Certificates) -> Iterator[TlsRedis]:
    """A Redis that speaks TLS too."""
    with TlsRedis(tmp_path, certificates) as process:
        yield process
