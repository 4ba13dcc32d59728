"""The system, and all that it says of how far the log goes."""

import asyncio
import json
import re
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from devstack import free_port
from schemas.redis_layout import Heartbeat, bucket_prefix
from tests.support.deployment import Deployment, get, wait_for
from tests.support.events import event
from tests.support.health import ready
from tests.support.topics import admin

STATUS: Final = "/api/v1/operator/status?jobId=3333"
ROW_SECONDS: Final = 20.0


class Scene:
    """A deployment with one projector, which is ready, and one API."""

    def __init__(self, deployment: Deployment, ready: int = 200) -> None:
        """Start both; the projector's readiness becomes `ready`."""
        self.deployment = deployment
        self._metrics_port = free_port()
        self.projector = deployment.start_projector(METRICS_PORT=str(self._metrics_port))
        self.api = deployment.start_api()
        wait_for(lambda: self.readiness()[0] == ready, f"readiness is {ready}", ROW_SECONDS)

    def restart(self) -> None:
        """Start the projector again."""
        self.projector = self.deployment.start_projector(METRICS_PORT=str(self._metrics_port))

    def publish(self, *jobs: str, partition: int = 0) -> None:
        """Write an event of each job."""
        self.deployment.publish([(job.encode(), json.dumps(event(job=job)).encode(), []) for job in jobs], partition)

    def key(self, name: str) -> str:
        """Return the full name of a key of the live generation."""
        return bucket_prefix(self.deployment.prefix, self.deployment.generation, 0) + name

    def heartbeat(self, partition: int = 0) -> str | None:
        """Return what a partition's heartbeat says behind its time."""
        stored = self.deployment.heartbeats().get(f"{self.deployment.topic}/{partition}".encode())
        return None if stored is None else Heartbeat.of(stored).stored.partition(" ")[2]

    def told(self) -> tuple[int, str | None, str | None]:
        """Return what an answer tells: its status, `Projection-Lag` and `Projection-Held`."""
        status, headers, _ = get(self.api, STATUS)
        return status, headers.get("Projection-Lag"), headers.get("Projection-Held")

    def readiness(self) -> tuple[int, str]:
        """Return what the projector's readiness says."""
        return ready(self._metrics_port)

    def api_readiness(self) -> tuple[int, str]:
        """Return what the API's readiness says."""
        return ready(int(self.api.rpartition(":")[2]))

    def metric(self, name: str) -> float:
        """Return a value out of the projector's metrics."""
        return _metric(f"http://127.0.0.1:{self._metrics_port}", name)

    def api_metric(self, name: str) -> float:
        """Return a value out of the API's metrics."""
        return _metric(self.api, name)

    def doctor(self, code: int) -> str:
        """Return what the doctor says, who must end with this exit code."""
        return self.deployment.command("projector", "doctor", code=code)

    def becomes(self, said: Callable[[], Any], wanted: Any) -> None:
        """Return once what is said is what is wanted."""
        seen: list[Any] = []

        def is_wanted() -> bool:
            seen[:] = [said()]
            return bool(seen[0] == wanted)

        try:
            wait_for(is_wanted, f"{wanted}", ROW_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {seen}\n{self.deployment.logs()[-2000:]}") from None

    def reads(self, said: Callable[[], tuple[int, str]], status: int, text: str) -> None:
        """Return once readiness has this status and a text in it."""
        self.becomes(lambda: ((found := said())[0], text in found[1]), (status, True))

    async def make_log_anew(self) -> None:
        """Delete the log and create another one, which is empty."""
        await self.deployment.delete_topic()
        client = await admin(self.deployment)
        try:
            await _create(client, self.deployment)
        finally:
            await client.close()

    async def producer(self) -> AIOKafkaProducer:
        """Return a producer of transactions, started."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.deployment.services.kafka_bootstrap_servers, transactional_id=self.deployment.topic
        )
        await producer.start()
        return producer


async def _create(client: AIOKafkaAdminClient, deployment: Deployment) -> None:
    """Create the topic as soon as the deleted one is gone."""
    for _ in range(200):
        with suppress(Exception):
            answer = await client.create_topics([NewTopic(deployment.topic, deployment.partitions, 1)])
            if answer.topic_errors[0][1] == 0:
                return
        await asyncio.sleep(0.1)
    raise AssertionError("the topic is not deleted")


def _metric(address: str, name: str) -> float:
    with urllib.request.urlopen(address + "/metrics", timeout=5) as response:
        text = response.read().decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, f"{name} in\n{text}"
    return float(found[1])
