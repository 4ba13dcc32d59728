"""Ports: the wanted one, or another that is named."""

import socket
from collections.abc import Iterator

import pytest

from devstack.ports import FREE_PORTS, LOCALHOST, choose_port, free_port, is_free


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Listen on a port."""
    with socket.create_server((LOCALHOST, free_port())) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_taken_as_wanted() -> None:
    """Who asks for a free port gets it, and hears nothing."""
    said: list[str] = []
    port = free_port()
    assert choose_port(port, "Kafka", said.append) == port
    assert said == []


def test_a_taken_port_is_replaced_and_said(taken_port: int) -> None:
    """Who asks for a taken port gets another, and one line names both."""
    said: list[str] = []
    port = choose_port(taken_port, "Kafka", said.append)
    assert is_free(port)
    assert said == [f"port {taken_port} is taken, Kafka listens on {LOCALHOST}:{port}"]


def test_port_0_is_any_and_nothing_is_said() -> None:
    """Who asks for any port gets a free one below the range of outgoing connections."""
    said: list[str] = []
    assert choose_port(0, "Kafka", said.append) in FREE_PORTS
    assert said == []


def test_a_port_is_not_given_twice() -> None:
    """Who asks for many ports, one after the other, gets another one each time, though nobody listens yet."""
    ports = [free_port() for _ in range(1_000)]
    assert len(set(ports)) == len(ports)
