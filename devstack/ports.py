"""Which port to listen on."""

import itertools
import random
import socket
from collections.abc import Callable

LOCALHOST = "127.0.0.1"
# Below the range from which systems take the ports of outgoing connections. A client that keeps trying to reach a dead
# server on a port of that range sooner or later connects to itself, and holds the port.
FREE_PORTS = range(20_000, 32_000)
MOST_TRIES = 100
# Each process goes its own way through the range, so that it does not give a port twice before anybody listens there.
_WAY = itertools.cycle(random.sample(FREE_PORTS, len(FREE_PORTS)))

Say = Callable[[str], None]


def say_nothing(_line: str) -> None:
    """Keep it to yourself."""


def is_free(port: int, host: str = LOCALHOST) -> bool:
    """Say whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a port nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return so many ports nobody listens on, each another one."""
    tried = itertools.islice(_WAY, MOST_TRIES)
    free = list(itertools.islice(filter(is_free, tried), count))
    if len(free) < count:
        raise OSError(f"of {MOST_TRIES} ports tried {len(free)} are free, {count} are needed")
    return free


def choose_port(wanted: int, name: str, say: Say = say_nothing) -> int:
    """Return the wanted port (0: any), or another when it is taken, and say so."""
    if wanted and is_free(wanted):
        return wanted
    port = free_port()
    if wanted:
        say(f"port {wanted} is taken, {name} listens on {LOCALHOST}:{port}")
    return port
