"""A Redis that speaks TLS."""

from pathlib import Path

from devstack import free_port
from tests.support.certificates import Certificates
from tests.support.redis_process import RedisProcess


class TlsRedis(RedisProcess):
    """A Redis with a port for plaintext and one for TLS."""

    def __init__(self, directory: Path, certificates: Certificates, *options: str) -> None:
        self.tls_port = free_port()
        files = {
            "tls-port": self.tls_port,
            "tls-cert-file": certificates.server_certificate,
            "tls-key-file": certificates.server_key,
            "tls-ca-cert-file": certificates.authority,
            "tls-auth-clients": "no",
        }
        settings = [part for name, value in files.items() for part in (f"--{name}", str(value))]
        super().__init__(directory, *settings, *options)
