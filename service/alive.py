"""`python -m service.alive`: exit code 0 when the API or the projector of this machine answers `/livez`, else 1.

For a container's health check, which runs every few seconds: it loads next to nothing.
"""

import os
import socket
import sys

# The ports of the API and of the projector; a container runs one of them.
PORTS = {"API_PORT": 8080, "METRICS_PORT": 9464}
HOST = "127.0.0.1"
LIMIT_SECONDS = 2.0
REQUEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def is_alive(port: int) -> bool:
    """Tell whether somebody answers 200 there."""
    try:
        with socket.create_connection((HOST, port), LIMIT_SECONDS) as connection:
            connection.settimeout(LIMIT_SECONDS)
            connection.sendall(REQUEST)
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def main() -> None:
    """Ask one after the other."""
    ports = [port_of(os.environ.get(name, ""), default) for name, default in PORTS.items()]
    sys.exit(0 if any(map(is_alive, ports)) else 1)


def port_of(given: str, default: int) -> int:
    """Return the port, as the settings read it: what is no number is Kubernetes', for a service of that name."""
    return int(given) if given.isdecimal() else default


if __name__ == "__main__":
    main()
