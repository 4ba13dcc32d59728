"""TLS to Kafka: the files that settings name, checked before anything connects."""

import ssl
from collections.abc import Mapping
from pathlib import Path


def faults_of_files(files: Mapping[str, Path | None]) -> list[str]:
    """Return a sentence for each file, by the name of its setting, that cannot be read."""
    faults = []
    for name, path in files.items():
        try:
            if path:
                path.read_bytes()
        except OSError as error:
            faults.append(f"{name}: {str(path)!r} cannot be read: {error.strerror}")
    return faults


def context_of(authority: Path | None, certificate: Path | None, key: Path | None, password: str) -> ssl.SSLContext:
    """Return what a connection needs; ValueError names the settings that are wrong."""
    try:
        context = ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"KAFKA_SSL_CAFILE: {str(authority)!r} holds no certificates: {error}") from error
    if certificate:
        try:
            # Without a password the library would ask for one at the terminal.
            context.load_cert_chain(certificate, key, password)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(
                "KAFKA_SSL_CERTFILE, KAFKA_SSL_KEYFILE, KAFKA_SSL_PASSWORD: these are no certificate and its key, or "
                f"the password is another one: {error}"
            ) from error
    return context
