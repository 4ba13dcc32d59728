"""Kafka and Redis together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from devstack.errors import DevstackError
from devstack.kafka import Kafka
from devstack.ports import Say, say_nothing
from devstack.redis import Redis


class Devstack:
    """A Kafka and a Redis that live as long as the with-block, with their data in one directory.

        with Devstack(directory=Path(".devstack")) as stack:
            print(stack.kafka_bootstrap_servers, stack.redis_url)

    `stack.kafka` and `stack.redis` can be stopped, killed, paused and started again meanwhile.
    """

    def __init__(
        self,
        directory: Path,
        *,
        kafka_port: int = 0,
        redis_port: int = 0,
        kafka_settings: Mapping[str, str] | None = None,
        redis_settings: Mapping[str, str] | None = None,
        say: Say = say_nothing,
    ) -> None:
        """Describe it; nothing starts yet. Port 0 is any free one."""
        self.logs = directory / "logs"
        self.redis = Redis(
            directory / "redis",
            port=redis_port,
            settings=redis_settings,
            log_path=self.logs / "redis.log",
            say=say,
        )
        self.kafka = Kafka(
            directory / "kafka",
            port=kafka_port,
            settings=kafka_settings,
            log_path=self.logs / "kafka.log",
            say=say,
        )
        self._servers = (self.redis, self.kafka)

    def __enter__(self) -> Self:
        """Start both and wait until they answer; raises DevstackError and leaves nothing behind otherwise."""
        try:
            for server in self._servers:
                server.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop both."""
        self.stop()

    @property
    def kafka_bootstrap_servers(self) -> str:
        """Where Kafka's clients begin."""
        return self.kafka.bootstrap_servers

    @property
    def redis_url(self) -> str:
        """Where Redis' clients connect."""
        return self.redis.url

    def stop(self) -> None:
        """End Kafka, then Redis."""
        for server in reversed(self._servers):
            server.stop()

    def death(self) -> DevstackError | None:
        """Return what explains the end of one that should be running, None when both run."""
        return next((server.death() for server in self._servers if not server.is_running), None)
