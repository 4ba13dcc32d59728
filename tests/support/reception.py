"""One Kafka and one Redis for all processes that run tests at the same time."""

import multiprocessing
import signal
import sys
import threading
from contextlib import ExitStack
from multiprocessing.connection import Client, Listener
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

from devstack.guard import tie_to_parent
from tests.support.brokers import write_archive
from tests.support.services import Services, running_services

OVER: Final = "over"


class Reception:
    """Starts the services when somebody asks for them, and tells everybody where they are; ends them at its end.

    It is a process of its own: threads in the one that forks those that run tests would not go well with that.
    """

    def __init__(self) -> None:
        """Begin to listen, at `address`."""
        self._stack = ExitStack()
        self._directory = Path(self._stack.enter_context(TemporaryDirectory(prefix="services-")))
        self.address = str(self._directory / "reception")
        self._listener = self._stack.enter_context(Listener(self.address))
        self._process = multiprocessing.get_context("fork").Process(target=self._serve, name="reception")
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the services and what was listening."""
        with Client(self.address) as connection:
            connection.send(OVER)
        self._process.join()
        self._stack.close()

    def _serve(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is told when all is over
        if sys.platform == "linux":
            tie_to_parent()
        with ExitStack() as started:
            self._answer(started)

    def _answer(self, started: ExitStack) -> None:
        services: Services | None = None
        while True:
            with self._listener.accept() as connection:
                if connection.recv() == OVER:
                    return
                try:
                    services = services or self._start(started)
                    connection.send(services)
                except Exception as error:  # noqa: BLE001 - it is raised where it is asked for
                    connection.send(error)

    def _start(self, started: ExitStack) -> Services:
        archiving = threading.Thread(target=write_archive, name="archiving")
        archiving.start()
        started.callback(archiving.join)
        return started.enter_context(running_services(self._directory))


def ask_for_services(address: str) -> Services:
    """Return where Kafka and Redis are, once they run; raises what hindered them."""
    with Client(address) as connection:
        connection.send("services")
        answer = connection.recv()
    if isinstance(answer, Services):
        return answer
    raise answer
