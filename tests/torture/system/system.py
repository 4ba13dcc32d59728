"""The whole system on this machine, with a link in front of every server, for one run."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from devstack import free_port
from tests.support.links import HOST, Link
from tests.torture.system.limits import TooLongError, cancelled, stopped, within
from tests.torture.system.names import API, LINKS, PROJECTORS
from tests.torture.system.programs import Program
from tests.torture.system.servers import RedisPair, broker

COMMAND_SECONDS: Final = 120.0
SERVER_SECONDS: Final = 90.0
ADMIN_TOKEN: Final = "let-me-see-and-all-the-rest"  # noqa: S105 - nothing is protected by it
KAFKA_LINKS: Final = LINKS[:2]
PROJECTOR_REDIS_LINKS: Final = LINKS[2:4]
API_LINK: Final = LINKS[4]
REPLICATION: Final = LINKS[5]


class System:
    """Kafka, Redis, two projectors, an API; one topic and prefix at a time."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        logs = directory / "logs"
        self.links = {name: Link(name) for name in LINKS}
        self.kafka = broker(directory / "kafka", logs / "kafka.log", [self.links[name] for name in KAFKA_LINKS])
        clients = [self.links[name] for name in (*PROJECTOR_REDIS_LINKS, API_LINK)]
        self.redis = RedisPair(directory, logs, clients, self.links[REPLICATION])
        arguments = {API: ("api",)} | dict.fromkeys(PROJECTORS, ("projector", "run"))
        self.programs = {name: Program(name, words, logs / f"{name}.log", say) for name, words in arguments.items()}
        self.ports = {name: free_port() for name in self.programs}
        self.topic = ""
        self.partitions = 0

    @property
    def api(self) -> Program:
        """The API."""
        return self.programs[API]

    @property
    def api_address(self) -> str:
        """Where the API answers."""
        return f"http://{HOST}:{self.ports[API]}"

    @property
    def bootstrap_servers(self) -> str:
        """Kafka without a link in front."""
        return self.kafka.address

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start the servers and look after the programs; end all of it afterwards."""
        keepers: list[asyncio.Task[None]] = []
        try:
            for link in self.links.values():
                await link.start()
            await asyncio.gather(asyncio.to_thread(self.kafka.start), self.redis.start())
            keepers = [asyncio.create_task(program.keep_running()) for program in self.programs.values()]
            keepers.append(asyncio.create_task(self.redis.watch_aof()))
            yield
        finally:
            for keeper in keepers:
                await cancelled("a keeper", keeper)
            await asyncio.gather(*(stopped(program.name, program.stop()) for program in self.programs.values()))
            for link in self.links.values():
                await stopped(link.name, link.stop())
            await within(SERVER_SECONDS, "Redis to end", asyncio.to_thread(self.redis.stop))
            await within(SERVER_SECONDS, "Kafka to end", asyncio.to_thread(self.kafka.stop))

    async def begin(self, topic: str, partitions: int) -> None:
        """Create a topic and start every program on it, with a prefix of the same name."""
        self.topic, self.partitions = topic, partitions
        await self.create_topic()
        for name, program in self.programs.items():
            program.configure(self._environment(name))
            program.start()

    async def create_topic(self) -> None:
        """Create the topic, and that of its dead letters if that is missing."""
        await self.command("topics", "create", "--partitions", str(self.partitions))

    async def end(self) -> None:
        """End every program and delete what is in Redis."""
        await asyncio.gather(*(program.stop() for program in self.programs.values()))
        await self.redis.flush()

    async def heal(self) -> None:
        """End what may still hinder."""
        for link in self.links.values():
            link.heal()
        for program in self.programs.values():
            program.start()

    async def divide(self, buckets: int) -> None:
        """Have the projection in so many buckets."""
        await self.command("rebuild", "--buckets", str(buckets))

    async def command(self, *words: str) -> None:
        """Run one of the projector's commands, without a link in front of the servers."""
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "projector", *words),
            env={
                **self._common,
                "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
                "REDIS_URL": self.redis.primary.url,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await within(COMMAND_SECONDS, " ".join(words), command.communicate())
        except TooLongError:
            command.kill()
            raise
        if command.returncode:
            raise RuntimeError(f"{' '.join(words)}: {said.decode()}")

    @property
    def _common(self) -> dict[str, str]:
        return {
            **os.environ,
            "REDIS_PREFIX": self.topic,
            "KAFKA_TOPIC": self.topic,
            "KAFKA_GROUP_ID": self.topic,
            "PYTHONUNBUFFERED": "1",
        }

    def _environment(self, name: str) -> Mapping[str, str]:
        if name == API:
            own = {
                "REDIS_URL": f"redis://{HOST}:{self.links[API_LINK].port}/0",
                "API_PORT": str(self.ports[API]),
                "API_ADMIN_TOKENS": ADMIN_TOKEN,
                "API_DRAIN_SECONDS": "0",  # nobody deals out requests
                "API_STREAMS_PER_ADDRESS": "2000",  # all clients are at one address
            }
        else:
            number = PROJECTORS.index(name)
            own = {
                "REDIS_URL": f"redis://{HOST}:{self.links[PROJECTOR_REDIS_LINKS[number]].port}/0",
                "KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{self.links[KAFKA_LINKS[number]].port}",
                "METRICS_PORT": str(self.ports[name]),
            }
        return self._common | own
