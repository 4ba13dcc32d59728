"""The system's own processes, started as an operator starts them, on a topic and a key prefix of one test."""

import asyncio
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from redis import Redis, RedisCluster

from devstack import free_port
from projector.log.topics import create_topics
from projector.settings import ProjectorSettings
from schemas.redis_layout import FINGERPRINT, HEARTBEATS, POSITIONS, bucket_prefix, pointer_key
from service.redis import CLUSTER_SUFFIX
from tests.support.processes import Forked, Process, Start, run
from tests.support.services import Services
from tests.support.waiting import pause_after

WAIT_SECONDS = 60.0
# Key, value, headers.
Message = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]


def wait_for(condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Return the condition's first true value; AssertionError when it does not come true in time."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        if value := condition():
            return value
        time.sleep(pause_after(waited))
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


class Deployment:
    """Projectors and APIs on one topic and one prefix; everything started here is ended with it."""

    def __init__(
        self,
        services: Services,
        name: str,
        directory: Path,
        *,
        partitions: int = 3,
        replicas: int = 1,
        start: Start = Forked,
    ) -> None:
        self.services = services
        self.topic = name
        self.prefix = name
        self.directory = directory
        self.partitions = partitions
        self.replicas = replicas
        self.environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": services.kafka_bootstrap_servers,
            "KAFKA_TOPIC": name,
            "KAFKA_GROUP_ID": name,
            "REDIS_URL": services.redis_url,
            "REDIS_PREFIX": name,
            "METRICS_PORT": "0",
            "API_HOST": "127.0.0.1",
            "PYTHONUNBUFFERED": "1",
        }
        self.redis = _client(services.redis_url)
        self._start = start
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        """Create the topics."""
        self.create_topics()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process and delete the keys."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.forget()
        self.redis.close()

    def create_topics(self) -> None:
        """Create what is missing of the topics."""
        asyncio.run(create_topics(ProjectorSettings.load(self.environment), self.partitions, self.replicas))

    def forget(self) -> None:
        """Delete every key of the prefix."""
        keys = list(self.redis.scan_iter(match=f"{self.prefix}:*", count=10_000))
        for start in range(0, len(keys), 1000):
            self.redis.delete(*keys[start : start + 1000])

    def command(self, module: str, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run one of the commands to its end and return what it printed; AssertionError unless it exits with `code`."""
        done = run(module, arguments, self.environment | environment, self.directory, WAIT_SECONDS)
        assert done.returncode == code, f"{module} {arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def start(self, module: str, *arguments: str, **environment: str) -> Process:
        """Start one of the processes; its output goes to a file in the test's directory."""
        log = self.directory / f"{module}-{len(self._processes)}.log"
        process = self._start(module, arguments, self.environment | environment, log, log)
        self._processes.append(process)
        return process

    def start_projector(self, **environment: str) -> Process:
        """Start a projector."""
        return self.start("projector", "run", **environment)

    @property
    def pids(self) -> list[int]:
        """The processes that run."""
        return [process.pid for process in self._processes if process.poll() is None]

    def start_api(self, **environment: str) -> str:
        """Start an API and return its address once it listens."""
        port = free_port()
        process = self.start("api", API_PORT=str(port), **environment)
        address = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            assert process.poll() is None, self.logs()
            try:
                return bool(urllib.request.urlopen(address + "/livez", timeout=1).status == 200)
            except OSError:
                return False

        wait_for(answers, "the API answers")
        return address

    def stop(self, process: Process) -> int:
        """End a process with SIGTERM and return its exit code."""
        process.send_signal(signal.SIGTERM)
        return process.wait(WAIT_SECONDS)

    def stop_all(self) -> None:
        """End every process with SIGTERM."""
        for process in self._processes:
            self.stop(process)

    def logs(self) -> str:
        """Return what the processes have printed."""
        return "\n".join(path.read_text() for path in sorted(self.directory.glob("*.log")))

    def publish(self, messages: Iterable[Message], partition: int | None = None) -> None:
        """Write records to the topic and wait until Kafka has them."""
        asyncio.run(self.write(messages, partition))

    def publish_event(self, event: Mapping[str, Any], partition: int | None = None) -> None:
        """Write one event to the topic."""
        self.publish([(event["data"]["jobId"].encode(), json.dumps(event).encode(), [])], partition)

    def begin_projection(self) -> None:
        """Have a projection that nobody goes on with."""
        process = self.start_projector()
        wait_for(lambda: self.redis.exists(pointer_key(self.prefix)), "the projection is begun")
        self.stop(process)

    def jump_to_end(self) -> None:
        """Store that all of the log is applied, though nothing of it is."""
        ends: dict[Any, Any] = {f"{self.topic}/{number}": str(end) for number, end in self.log_ends().items()}
        positions = bucket_prefix(self.prefix, self.generation, 0) + POSITIONS
        self.redis.hset(positions, mapping=ends)
        self.redis.hdel(positions, *(name + FINGERPRINT for name in ends))

    def log_ends(self, topic: str | None = None) -> dict[int, int]:
        """Return the end of every partition of a topic (the log, when none is given)."""
        return asyncio.run(self.ends(topic or self.topic))

    def records(self, topic: str) -> list[Any]:
        """Return every record of a topic, partition by partition."""
        return asyncio.run(self.read(topic))

    def hash(self, key: str | bytes) -> dict[bytes, bytes]:
        """Return a hash of Redis."""
        return cast("dict[bytes, bytes]", self.redis.hgetall(key))

    @property
    def generation(self) -> int:
        """The number of the live generation; 1 while there is none."""
        return int(cast("bytes | None", self.redis.hget(pointer_key(self.prefix), "live")) or 1)

    def positions(self, bucket: int = 0) -> dict[str, int]:
        """Return the stored position of each partition, by its number as text."""
        stored = self.hash(bucket_prefix(self.prefix, self.generation, bucket) + "positions")
        return {name.decode().rpartition("/")[2]: int(value) for name, value in stored.items() if b"#" not in name}

    def heartbeats(self) -> dict[bytes, bytes]:
        """Return what is known of the log's ends, by partition."""
        return self.hash(bucket_prefix(self.prefix, self.generation, 0) + HEARTBEATS)

    def wait_until_applied(self, seconds: float = WAIT_SECONDS) -> None:
        """Return when Redis stands at the end of the log."""
        ends = {str(number): end for number, end in self.log_ends().items() if end}

        def is_applied() -> bool:
            positions = self.positions()
            return all(positions.get(number, 0) >= end for number, end in ends.items())

        wait_for(is_applied, f"positions {ends}, now {self.positions()}\n{self.logs()[-3000:]}", seconds)

    async def send(self, event: Mapping[str, Any], partition: int, producer: AIOKafkaProducer | None = None) -> None:
        """Write one event to a partition, inside a running event loop."""
        key, value = event["data"]["jobId"].encode(), json.dumps(event).encode()
        if producer:
            await producer.send_and_wait(self.topic, value, key, partition=partition)
        else:
            await self.write([(key, value, [])], partition)

    def recreate_topic(self) -> None:
        """Delete the topic and create it again, empty."""
        asyncio.run(self.delete_topic())
        wait_for(lambda: not self.log_ends(), "the topic is gone")
        self.create_topics()
        wait_for(lambda: len(self.log_ends()) == self.partitions, "the topic is known")

    async def delete_topic(self) -> None:
        """Delete the topic, inside a running event loop."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.services.kafka_bootstrap_servers)
        await admin.start()
        try:
            await admin.delete_topics([self.topic])
        finally:
            await admin.close()

    async def write(self, messages: Iterable[Message], partition: int | None) -> None:
        """Write records, inside a running event loop."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.services.kafka_bootstrap_servers,
            compression_type="lz4",
            linger_ms=10,
            max_batch_size=256 * 1024,
            max_request_size=2 << 20,
        )
        await producer.start()
        try:
            for key, value, headers in messages:
                await producer.send(self.topic, value=value, key=key, headers=headers, partition=partition)
        finally:
            await producer.stop()

    async def ends(self, topic: str) -> dict[int, int]:
        """Return the end of every partition, inside a running event loop."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.services.kafka_bootstrap_servers)
        await consumer.start()
        try:
            numbers = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - no public way without subscribing
            partitions = [TopicPartition(topic, number) for number in numbers.partitions_for_topic(topic) or ()]
            return {item.partition: end for item, end in (await consumer.end_offsets(partitions)).items()}
        finally:
            await consumer.stop()

    async def read(self, topic: str) -> list[Any]:
        """Return every record of a topic, inside a running event loop."""
        ends = {number: end for number, end in (await self.ends(topic)).items() if end}
        if not ends:
            return []
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.services.kafka_bootstrap_servers, auto_offset_reset="earliest"
        )
        await consumer.start()
        consumer.assign([TopicPartition(topic, number) for number in ends])
        records: list[Any] = []
        try:
            while any([await consumer.position(TopicPartition(topic, number)) < end for number, end in ends.items()]):
                for polled in (await consumer.getmany(timeout_ms=200)).values():
                    records += polled
        finally:
            await consumer.stop()
        return records


def _client(url: str) -> Redis:
    if CLUSTER_SUFFIX in url:
        return cast("Redis", RedisCluster.from_url(url.replace(CLUSTER_SUFFIX, ""), socket_timeout=1))
    return Redis.from_url(url)


def get(address: str, path: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    """Return status, headers and decoded body of a GET request."""
    request = urllib.request.Request(address + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, dict(response.headers), json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), json.loads(error.read() or b"null")
