"""A Redis that speaks TLS."""

from pathlib import Path

from devstack import free_port
from tests.support.certificates import Certificates
from tests.support.redis_process import RedisProcess


class TlsRedis(RedisProcess):
    """A Redis with a port for plaintext and one for TLS."""

    def __init__(self, directory: Path, certificates: Certificates, *options: str) -> None:
        self.tls_port = free_port()
        files = tls_options(certificates, self.tls_port)
        settings = [part for name, value in files.items() for part in (f"--{name}", value)]
        super().__init__(directory, *settings, *options)


def tls_options(certificates: Certificates, port: int) -> dict[str, str]:
    """Return the settings of a Redis or a sentinel that speaks TLS on a port."""
    return {
        "tls-port": str(port),
        "tls-cert-file": str(certificates.server_certificate),
        "tls-key-file": str(certificates.server_key),
        "tls-ca-cert-file": str(certificates.authority),
        "tls-auth-clients": "no",
    }
