"""The health check of a container."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from service.alive import port_of

PROJECT = Path(__file__).parents[2]


def check(**ports: str) -> int:
    """Return the exit code of the check, run as a container runs it."""
    return subprocess.run(
        [sys.executable, "-S", "-m", "service.alive"], cwd=PROJECT, env=os.environ | ports, check=False
    ).returncode


def answering(listener: socket.socket, answer: bytes) -> None:
    """Answer one request."""
    connection = listener.accept()[0]
    with connection:
        connection.recv(1024)
        connection.sendall(answer)


@pytest.mark.parametrize("name", ["API_PORT", "METRICS_PORT"])
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nok\n", 0),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 1),
        (b"rubbish", 1),
        (b"", 1),
    ],
)
def test_it_asks_both_ports(name: str, answer: bytes, code: int) -> None:
    """The API or the projector: whichever runs in the container is asked, and only 200 counts."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nobody listens there
        ports = dict.fromkeys(("API_PORT", "METRICS_PORT"), str(unused.getsockname()[1]))
        thread = threading.Thread(target=answering, args=(listener, answer))
        thread.start()
        assert check(**ports | {name: str(listener.getsockname()[1])}) == code
        thread.join()


def test_nobody_answers() -> None:
    """A port that is closed is not alive."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
        assert check(API_PORT=port, METRICS_PORT=port) == 1


def test_what_kubernetes_sets_for_a_service_is_no_port() -> None:
    """A container in which API_PORT is another service's address listens on the default, and is asked there."""
    assert port_of("tcp://10.96.7.3:8080", 8080) == 8080
    assert port_of("", 9464) == 9464
    assert port_of("81", 9464) == 81
