"""Several Kafka brokers on this machine, each a process of its own that is broker and controller (KRaft)."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from devstack import Kafka
from devstack.kafka import new_cluster_id
from devstack.ports import LOCALHOST, free_ports
from service.kafka import quiet_connection_attempts

HEAP_MEGABYTES: Final = 256
ANSWER_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 0.1
LISTENERS: Final = ("CLIENTS", "BROKER", "CONTROLLER")
SETTINGS: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "replica.lag.time.max.ms": "3000",
    "unclean.leader.election.interval.ms": "500",  # where it is allowed; five minutes by default
    "num.network.threads": "1",
    "num.io.threads": "2",
    "log.cleaner.enable": "false",
}
# What the controller in charge writes into its log when it becomes that.
_IN_CHARGE: Final = re.compile(r"Completed transition to Leader\(.*?epoch=(\d+)")
Value = TypeVar("Value")


class KafkaCluster:
    """Brokers by their numbers, from 1; each can be killed, paused and started again."""

    def __init__(self, directory: Path, count: int = 3) -> None:
        cluster_id = new_cluster_id()
        ports = {number: dict(zip(LISTENERS, free_ports(3), strict=True)) for number in range(1, count + 1)}
        voters = ",".join(f"{number}@{LOCALHOST}:{own['CONTROLLER']}" for number, own in ports.items())
        self.brokers = {
            number: Kafka(
                directory / f"broker-{number}",
                port=own["CLIENTS"],
                settings={
                    **SETTINGS,
                    "node.id": str(number),
                    "controller.quorum.voters": voters,
                    "listeners": _listeners(own, LISTENERS),
                    "advertised.listeners": _listeners(own, LISTENERS[:-1]),
                },
                cluster_id=cluster_id,
                heap_megabytes=HEAP_MEGABYTES,
            )
            for number, own in ports.items()
        }

    @property
    def bootstrap_servers(self) -> str:
        """Where clients begin: all brokers."""
        return ",".join(broker.bootstrap_servers for broker in self.brokers.values())

    def start(self, *numbers: int) -> None:
        """Start these brokers together, or all: one alone is not ready before most of them are there."""
        wanted = numbers or tuple(self.brokers)
        with ThreadPoolExecutor(len(wanted)) as threads:
            list(threads.map(lambda number: self.brokers[number].start(), wanted))

    def kill(self) -> None:
        """End all of them at once."""
        for broker in self.brokers.values():
            broker.kill()

    def controller(self) -> int:
        """Return which broker is in charge of the cluster."""
        epochs = {number: _last_epoch_in_charge(broker) for number, broker in self.brokers.items()}
        return max(epochs, key=lambda number: epochs[number])

    def coordinator(self, group: str) -> int:
        """Return which broker coordinates a consumer group."""
        coordinator: int = self.ask(lambda admin: admin.find_coordinator(group))
        return coordinator

    def leaders(self, topic: str) -> dict[int, int]:
        """Return the leader of each partition of a topic; -1 where there is none."""
        return {partition["partition"]: partition["leader"] for partition in self._partitions(topic)}

    def in_sync(self, topic: str) -> list[list[int]]:
        """Return the replicas of each partition that have all of it."""
        return [sorted(partition["isr"]) for partition in self._partitions(topic)]

    def _partitions(self, topic: str) -> Sequence[Mapping[str, Any]]:
        [described] = self.ask(lambda admin: admin.describe_topics([topic]))
        return described["partitions"]  # type: ignore[no-any-return]

    def ask(self, question: Callable[[AIOKafkaAdminClient], Awaitable[Value]]) -> Value:
        """Return what the brokers that are there answer to an admin client."""
        return asyncio.run(self._ask(question))

    async def _ask(self, question: Callable[[AIOKafkaAdminClient], Awaitable[Value]]) -> Value:
        """Ask until one answers that knows it: a client also tries brokers that are gone."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                try:
                    return await self._ask_once(question)
                except (KafkaError, TimeoutError):
                    await asyncio.sleep(PAUSE_SECONDS)

    async def _ask_once(self, question: Callable[[AIOKafkaAdminClient], Awaitable[Value]]) -> Value:
        alive = ",".join(broker.bootstrap_servers for broker in self.brokers.values() if broker.is_running)
        admin = AIOKafkaAdminClient(bootstrap_servers=alive, request_timeout_ms=5000)
        with quiet_connection_attempts():
            try:
                await admin.start()
                return await question(admin)
            finally:
                await admin.close()


@contextmanager
def running_cluster(directory: Path) -> Iterator[KafkaCluster]:
    """Yield a cluster that has started; it ends with the block."""
    cluster = KafkaCluster(directory)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()


def _listeners(ports: Mapping[str, int], names: Sequence[str]) -> str:
    return ",".join(f"{name}://{LOCALHOST}:{ports[name]}" for name in names)


def _last_epoch_in_charge(broker: Kafka) -> int:
    if not broker.is_running:
        return -1
    epochs = _IN_CHARGE.findall(broker.log_path.read_text(errors="replace"))
    return int(epochs[-1]) if epochs else -1
