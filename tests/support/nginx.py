"""The nginx of `deploy/nginx.conf`, with nothing changed but its addresses and folders."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devstack import free_port
from tests.support.certificates import Certificates
from tests.support.deployment import wait_for

EXAMPLE = Path(__file__).parents[2] / "deploy/nginx.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
END_SECONDS = 10
SERVER = "server api:8080 max_fails=2 fail_timeout=2s;"


@dataclass(frozen=True)
class Nginx:
    """A running nginx: where the API's paths begin, and whom to trust for its certificate."""

    url: str
    trust: ssl.SSLContext
    log: Path


@contextmanager
def nginx(directory: Path, upstreams: Sequence[str], changes: Mapping[str, str] | None = None) -> Iterator[Nginx]:
    """Run it before these servers (host:port), with changes of a test's own; it ends by its own process id."""
    assert NGINX
    certificates, port = Certificates(directory / "certificates"), free_port()
    configuration = example(
        {
            " /tmp/": f" {directory}/",
            SERVER: "\n".join(SERVER.replace("api:8080", upstream) for upstream in upstreams),
            "listen 8443 ": f"listen 127.0.0.1:{port} ",
            "/run/secrets/tls_certificate": str(certificates.server_certificate),
            "/run/secrets/tls_key": str(certificates.server_key),
            "/dev/stdout": str(directory / "access.log"),
        }
        | dict(changes or {})
    )
    file, log = directory / "nginx.conf", directory / "nginx.log"
    file.write_text(configuration)
    with log.open("wb") as output:
        process = subprocess.Popen([NGINX, "-e", "stderr", "-c", str(file)], stderr=output)

    def listens() -> bool:
        assert process.poll() is None, log.read_text()
        return (directory / "nginx.pid").exists()  # written once it listens

    try:
        wait_for(listens, "nginx listens", END_SECONDS)
        trust = ssl.create_default_context(cafile=str(certificates.authority))
        yield Nginx(f"https://127.0.0.1:{port}/ops", trust, directory / "access.log")
    finally:
        process.terminate()
        process.wait(END_SECONDS)


def example(substitutes: dict[str, str]) -> str:
    """Return the example with these texts instead of those; each of them is in it."""
    text = EXAMPLE.read_text()
    for old, new in substitutes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text
