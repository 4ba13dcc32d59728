"""Sockets to listen on."""

import socket

import pytest

from service.listening import cause_of, listening_socket


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has not both families")
def test_every_address_is_of_both_families() -> None:
    """Who listens on `::` is reached by IPv4 too, such as by a health check of the same container."""
    with listening_socket("::", 0) as listener:
        port = listener.getsockname()[1]
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, port), 5).close()


def test_why_there_is_none_is_one_sentence() -> None:
    """An address that is none of this machine's is told without what Python says beside it."""
    with pytest.raises(OSError, match="Cannot assign") as caught:
        listening_socket("192.0.2.1", 0)
    assert cause_of(caught.value) == "Cannot assign requested address"
