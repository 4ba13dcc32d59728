"""One Kafka and one Redis for all processes that run tests at the same time."""

import threading
from contextlib import ExitStack
from multiprocessing.connection import Client, Listener
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.support.brokers import write_archive
from tests.support.services import Services, running_services

OVER: Final = "over"


class Reception:
    """Starts the services when somebody asks for them, and tells everybody where they are; ends them at its end."""

    def __init__(self) -> None:
        """Begin to listen, at `address`."""
        self._stack = ExitStack()
        self._directory = Path(self._stack.enter_context(TemporaryDirectory(prefix="services-")))
        self.address = str(self._directory / "reception")
        self._listener = self._stack.enter_context(Listener(self.address))
        self._thread = threading.Thread(target=self._serve, name="reception")
        self._thread.start()

    def close(self) -> None:
        """End the services and what was listening."""
        with Client(self.address) as connection:
            connection.send(OVER)
        self._thread.join()
        self._stack.close()

    def _serve(self) -> None:
        services: Services | None = None
        while True:
            with self._listener.accept() as connection:
                if connection.recv() == OVER:
                    return
                try:
                    services = services or self._start()
                    connection.send(services)
                except Exception as error:  # noqa: BLE001 - it is raised where it is asked for
                    connection.send(error)

    def _start(self) -> Services:
        archiving = threading.Thread(target=write_archive, name="archiving")
        archiving.start()
        self._stack.callback(archiving.join)
        return self._stack.enter_context(running_services(self._directory))


def ask_for_services(address: str) -> Services:
    """Return where Kafka and Redis are, once they run; raises what hindered them."""
    with Client(address) as connection:
        connection.send("services")
        answer = connection.recv()
    if isinstance(answer, Services):
        return answer
    raise answer
