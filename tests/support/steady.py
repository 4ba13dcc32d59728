"""What runs beside a test that breaks brokers: a steady stream of events, and projectors that are started again."""

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from tests.support.deployment import Deployment, Message
from tests.support.processes import Process
from tests.support.simulated import messages

EXIT_UNAVAILABLE: Final = 75
STARTED_AGAIN: Final = frozenset({EXIT_UNAVAILABLE, -signal.SIGKILL})
EVENTS_PER_SECOND: Final = 40  # each of them costs every broker something
FLUSH_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05


class Stream:
    """Events that are written all the time, to every replica in step.

    The producer is not idempotent: aiokafka's sends nothing more once a broker hung and then all were away.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._write()))

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Stop, once everything is acknowledged."""
        self._is_over.set()
        self._thread.join()

    async def _write(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._deployment.services.kafka_bootstrap_servers,
            acks="all",
            request_timeout_ms=5000,
        )
        await producer.start()
        for key, value, headers in _messages():
            if self._is_over.is_set():
                break
            while not self._is_over.is_set():
                with suppress(KafkaTimeoutError):  # too much waits for brokers that are away; it was not taken
                    sent = await producer.send(self._deployment.topic, value, key, headers=headers)
                    sent.add_done_callback(_see)
                    break
            await asyncio.sleep(1 / EVENTS_PER_SECOND)
        async with asyncio.timeout(FLUSH_SECONDS):
            await producer.stop()


def _see(sent: asyncio.Future[Any]) -> None:
    """Let an event be lost that was given up: what counts is what the log has."""
    if not sent.cancelled():
        sent.exception()


def _messages() -> Iterator[Message]:
    for seed in count():
        yield from messages(seed, jobs=1000)


@contextmanager
def writing(deployment: Deployment) -> Iterator[Stream]:
    """Write events until the block or the stream ends."""
    stream = Stream(deployment)
    stream.start()
    try:
        yield stream
    finally:
        stream.end()


class Kept:
    """A projector that is started again whenever it was killed or asks for it by its exit code."""

    def __init__(self, deployment: Deployment, **environment: str) -> None:
        self.exits: list[int] = []
        self._deployment = deployment
        self._environment = environment
        self._is_over = threading.Event()
        self._process = self._start()
        self._thread = threading.Thread(target=self._keep)
        self._thread.start()

    def end(self) -> None:
        """End it, and keep it no longer."""
        self._is_over.set()
        self._thread.join()
        if self._process.poll() is None:
            self.exits.append(self._deployment.stop(self._process))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; when it is killed another one is started."""
        self._process.send_signal(number)

    def _start(self) -> Process:
        return self._deployment.start_projector(**self._environment)

    def _keep(self) -> None:
        while not self._is_over.is_set():
            code = self._process.poll()
            if code is not None:
                self.exits.append(code)
                if code not in STARTED_AGAIN:
                    return
                self._process = self._start()
            time.sleep(_POLL_SECONDS)


@contextmanager
def kept_projector(deployment: Deployment, **environment: str) -> Iterator[Kept]:
    """Keep a projector running until the block ends."""
    kept = Kept(deployment, **environment)
    try:
        yield kept
    finally:
        kept.end()
