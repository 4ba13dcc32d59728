"""A socket to listen on: what `::` means, and what is wrong when there is none."""

import socket
from typing import Final

ANY_IPV6: Final = "::"
BACKLOG: Final = 128


def listening_socket(host: str, port: int, *, backlog: int = BACKLOG, is_shared: bool = False) -> socket.socket:
    """Return a socket that listens there, for both families where the host is `::`; OSError when there can be none.

    Other processes can listen on the same port when it is shared.
    """
    return socket.create_server(
        (host, port),
        family=socket.AF_INET6 if ":" in host else socket.AF_INET,
        backlog=backlog,
        reuse_port=is_shared,
        dualstack_ipv6=is_any_address(host),
    )


def is_any_address(host: str) -> bool:
    """Tell whether a host is every address of both families, on a system that has both."""
    return host == ANY_IPV6 and socket.has_dualstack_ipv6()


def cause_of(error: OSError) -> str:
    """Return why there is no socket, without what Python adds to it."""
    return str(error.strerror).partition(" (")[0]
