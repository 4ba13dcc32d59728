"""TLS where Redis is more than one server: a cluster, and a primary that sentinels know."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from devstack import free_port
from service.redis import connect, read_hash
from service.settings import RedisSettings
from tests.support.certificates import Certificates
from tests.support.deployment import wait_for
from tests.support.redis_process import RedisProcess
from tests.support.tls_redis import TlsRedis, tls_options

pytestmark = pytest.mark.server

NAME = "projection"
SLOTS = (0, 16383)


class TlsSentinel(RedisProcess):
    """A sentinel that speaks TLS, with clients and with the primary."""

    def __init__(self, directory: Path, certificates: Certificates, primary: int) -> None:
        super().__init__(directory)
        self.tls_port = free_port()
        self._configuration = directory / "sentinel.conf"
        options = {**tls_options(certificates, self.tls_port), "tls-replication": "yes"}
        lines = [f"{name} {value}" for name, value in options.items()]
        lines += [f"port {self.port}", f"dir {directory}", f"sentinel monitor {NAME} 127.0.0.1 {primary} 1"]
        self._configuration.write_text("\n".join(lines) + "\n")

    def _arguments(self) -> list[str]:
        return [str(self._configuration), "--sentinel"]


async def is_written_and_read(url: str) -> bool:
    """Tell whether a client of this URL writes, reads, and runs a script that only reads."""
    client: Any = connect(RedisSettings.load({"REDIS_URL": url}))
    try:
        await client.hset("x:test", "name", "value")
        count = await client.eval_ro("return redis.call('HLEN', KEYS[1])", 1, "x:test")
        return count == 1 and await read_hash(client, "x:test") == {b"name": b"value"}
    finally:
        await client.aclose()


async def test_a_cluster_over_tls(tmp_path: Path, certificates: Certificates) -> None:
    """The nodes that a cluster names are spoken to by TLS, each of them checked."""
    cluster = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--tls-cluster", "yes")
    with TlsRedis(tmp_path, certificates, *cluster) as node:
        admin: Any
        with Redis(port=node.port, protocol=2) as admin:
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", *SLOTS)
            ask = partial(admin.execute_command, "CLUSTER", "INFO", NEVER_DECODE=True)
            wait_for(lambda: b"cluster_state:ok" in ask(), "it is up")
        trust = f"?ssl_ca_certs={certificates.authority}"
        assert await is_written_and_read(f"rediss+cluster://127.0.0.1:{node.tls_port}{trust}")


async def test_sentinels_over_tls(tmp_path: Path, certificates: Certificates) -> None:
    """Sentinels and the primary that they name are spoken to by TLS."""
    places = [tmp_path / name for name in ("primary", "sentinel")]
    for place in places:
        place.mkdir()
    with (
        TlsRedis(places[0], certificates) as primary,
        TlsSentinel(places[1], certificates, primary.tls_port) as sentinel,
    ):
        trust = f"?ssl_ca_certs={certificates.authority}"
        assert await is_written_and_read(f"rediss+sentinel://127.0.0.1:{sentinel.tls_port}/{NAME}/0{trust}")
