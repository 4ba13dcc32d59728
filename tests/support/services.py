"""The real Kafka and Redis that tests use: given by the environment, else in containers, else from devstack."""

import contextlib
import gc
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devstack import Devstack

KAFKA_IMAGE = "apache/kafka:4.3.1"
REDIS_IMAGE = "valkey/valkey:9"
REDIS_COMMAND = "valkey-server --maxmemory-policy noeviction --appendonly yes"
KAFKA_PORT, REDIS_PORT = 9092, 6379
DOCKER_TIMEOUT_SECONDS = 2
_ADDRESSES = ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL")


@dataclass(frozen=True)
class Services:
    """Where Kafka and Redis are, and where they came from."""

    kafka_bootstrap_servers: str
    redis_url: str
    source: str


def source_of_services() -> str:
    """Return which services tests will use, for the report."""
    if all(os.environ.get(name) for name in _ADDRESSES):
        return "environment"
    return "containers" if _docker_answers() else "devstack"


@contextmanager
def running_services(directory: Path) -> Iterator[Services]:
    """Yield a running Kafka and Redis; what was started here is ended afterwards."""
    source = source_of_services()
    if source == "environment":
        kafka, redis = (os.environ[name] for name in _ADDRESSES)
        yield Services(kafka, redis, source)
    elif source == "containers":
        with _containers() as services:
            yield services
    else:
        with Devstack(directory=directory) as stack:
            yield Services(stack.kafka_bootstrap_servers, stack.redis_url, source)


def _docker_answers() -> bool:
    with warnings.catch_warnings():
        # When no engine listens, docker's client leaves a socket open: it is collected here, not in somebody's test.
        warnings.simplefilter("ignore", ResourceWarning)
        answers = _docker_is_alive()
        gc.collect()
    return answers


def _docker_is_alive() -> bool:
    # Imported here: most tests need no services, and it takes a while.
    import docker  # noqa: PLC0415
    from docker.errors import DockerException  # noqa: PLC0415

    with contextlib.suppress(DockerException, OSError):
        client = docker.from_env(timeout=DOCKER_TIMEOUT_SECONDS)
        with contextlib.closing(client):
            return bool(client.ping())
    return False


@contextmanager
def _containers() -> Iterator[Services]:
    # Imported here: testcontainers looks for Docker when it is imported.
    from testcontainers.kafka import KafkaContainer  # noqa: PLC0415
    from testcontainers.redis import RedisContainer  # noqa: PLC0415

    with (
        KafkaContainer().with_kraft() as kafka,
        RedisContainer(REDIS_IMAGE).with_command(REDIS_COMMAND) as redis,
    ):
        address = f"redis://{redis.get_container_host_ip()}:{redis.get_exposed_port(REDIS_PORT)}/0"
        yield Services(kafka.get_bootstrap_server(), address, "containers")
