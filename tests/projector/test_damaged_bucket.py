"""Somebody damages what a bucket keeps beside its jobs: it is made again, and meanwhile nobody is told lies."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from devstack import free_port
from projector.store.ledger import ledgers
from schemas.redis_layout import HEARTBEATS, META, POSITIONS, bucket_prefix
from tests.support.deployment import Deployment, get, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.processes import Process
from tests.support.refold import assert_right
from tests.support.services import Services

pytestmark = pytest.mark.group("damaged bucket")

STATUS = "/api/v1/operator/status?jobId=job-1"
JOBS = 4
SOON_SECONDS = 20.0
PARTITION = "{topic}/0"


@dataclass
class Scene:
    """A projector and an API that all tests here share, for they recover from all of it."""

    deployment: Deployment
    process: Process
    port: int
    address: str


@pytest.fixture(scope="module")
def scene(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A projection of a few jobs that is shown."""
    name = f"damaged-{uuid.uuid4().hex[:12]}"
    with Deployment(services, name, tmp_path_factory.mktemp("damaged")) as deployment:
        for number in range(JOBS):
            deployment.publish_event(event(job=f"job-{number}"), 0)
        port = free_port()
        process = deployment.start_projector(METRICS_PORT=str(port))
        address = deployment.start_api()
        wait_for(lambda: get(address, STATUS)[1].get("Projection-Lag") == "0", "it is shown")
        yield Scene(deployment, process, port, address)


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        *((key, None, "not a hash") for key in (META, POSITIONS, HEARTBEATS)),
        (META, "incarnation", ""),
        (META, f"floor:{PARTITION}", "soon"),
        (META, "sealed", "yes"),
        (POSITIONS, PARTITION, "3.5"),
        (POSITIONS, PARTITION, "9" * 30),
        (POSITIONS, PARTITION, "007"),
        (POSITIONS, f"{PARTITION}#fingerprint", "\xff"),
        (POSITIONS, f"{PARTITION}#known", "many"),
        (HEARTBEATS, PARTITION, "1"),
        (HEARTBEATS, PARTITION, "007 5"),
        (HEARTBEATS, PARTITION, ""),
    ],
)
def test_what_is_damaged_is_made_again(scene: Scene, key: str, field: str | None, value: str) -> None:
    """Whatever is damaged, without anybody all is right again, no answer is wrong or 500, and no letter is written."""
    deployment, address = scene.deployment, scene.address
    shown = get(address, STATUS)[2]
    damage(deployment, key, field, value)
    deployment.publish_event(event(job=uuid.uuid4().hex), 0)

    def is_right_again() -> bool:
        status, headers, body = get(address, STATUS)
        assert (status, body) == (200, shown) or status == 503
        return status == 200 and headers["Projection-Lag"] == "0" and is_mended(deployment, key, field, value)

    wait_for(is_right_again, "it is right again", SOON_SECONDS)
    assert_right(deployment)
    assert deployment.records(f"dlq.{deployment.topic}") == []
    assert scene.process.poll() is None
    wait_for(lambda: ready(scene.port)[0] == 200, "the projector is ready")


def test_a_damaged_position_is_counted_again(deployment: Deployment) -> None:
    """The ledger of a position that was made again closes."""
    for number in range(JOBS):
        deployment.publish_event(event(job=f"job-{number}"), 0)
    deployment.start_projector()
    deployment.wait_until_applied()
    damage(deployment, POSITIONS, PARTITION, "many")
    wait_for(lambda: is_mended(deployment, POSITIONS, PARTITION, "many"), "it is removed", SOON_SECONDS)
    assert_right(deployment)
    (account,) = ledgers([deployment.hash(bucket_prefix(deployment.prefix, 1, 0) + POSITIONS)]).values()
    assert (account.known, account.is_closed) == (JOBS, True)


def damage(deployment: Deployment, key: str, field: str | None, value: str) -> None:
    """Write something over a key, or over one of its fields."""
    name = bucket_prefix(deployment.prefix, 1, 0) + key
    if field is None:
        deployment.redis.set(name, value)
    else:
        deployment.redis.hset(name, field.format(topic=deployment.topic), value)


def is_mended(deployment: Deployment, key: str, field: str | None, value: str) -> bool:
    """Tell whether what was written is not there any more."""
    name = bucket_prefix(deployment.prefix, 1, 0) + key
    if field is None:
        return deployment.redis.type(name) == b"hash"
    return deployment.redis.hget(name, field.format(topic=deployment.topic)) != value.encode()


def test_the_doctor_names_what_is_damaged(deployment: Deployment) -> None:
    """Without a projector that would mend it the doctor says that it cannot be read, and what helps."""
    deployment.publish_event(event(), 0)
    process = deployment.start_projector()
    deployment.wait_until_applied()
    deployment.stop(process)
    damage(deployment, POSITIONS, PARTITION, "many")
    said = deployment.command("projector", "doctor", code=1)
    assert "[-] projection: cannot be read" in said
    assert "start a projector: it mends what is damaged" in said
    deployment.start_projector()
    wait_for(lambda: is_mended(deployment, POSITIONS, PARTITION, "many"), "a projector mends it")
    assert_right(deployment)


def test_a_damaged_catalog_is_told(deployment: Deployment) -> None:
    """Without knowing which generation is live the projector ends with 75 and says what to do, which helps."""
    deployment.publish_event(event(), 0)
    process = deployment.start_projector()
    deployment.wait_until_applied()
    catalog = f"{deployment.prefix}:generation"
    for write in (lambda: deployment.redis.set(catalog, "?"), lambda: deployment.redis.hset(catalog, "live", "?")):
        write()
        assert process.wait(SOON_SECONDS) == 75
        assert f"{catalog} is damaged" in deployment.logs()
        assert "delete it and start a projector, which folds the whole log again" in deployment.logs()
        deployment.redis.delete(catalog)
        process = deployment.start_projector()
        wait_for(lambda: deployment.redis.hget(catalog, "live") == b"1", "it is begun again")
        assert_right(deployment)
