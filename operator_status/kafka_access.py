"""How Kafka is found and spoken to: what is checked of the settings, and what clients are given of them."""

import logging
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from operator_status.kafka_tls import context_of, faults_of_files

MAX_TOPIC_CHARACTERS: Final = 249
REQUEST_TIMEOUT_MILLISECONDS: Final = 10_000

_TOPIC: Final = re.compile(rf"[a-zA-Z0-9._-]{{1,{MAX_TOPIC_CHARACTERS}}}")
# A name, an IPv4 address or an IPv6 address in brackets, then a port.
_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%[^\s\[\]]+)?\]|[^\s:/\[\]]+):([0-9]{1,5})")
_MAX_PORT: Final = 65535


class KafkaAccess(Protocol):
    """Settings that say where Kafka is and how it is spoken to; a password may be hidden in pydantic's SecretStr."""

    @property
    def kafka_bootstrap_servers(self) -> str: ...  # noqa: D102 - the settings' own descriptions say what each is
    @property
    def kafka_topic(self) -> str: ...  # noqa: D102
    @property
    def kafka_security_protocol(self) -> str: ...  # noqa: D102
    @property
    def kafka_ssl_cafile(self) -> Path | None: ...  # noqa: D102
    @property
    def kafka_ssl_certfile(self) -> Path | None: ...  # noqa: D102
    @property
    def kafka_ssl_keyfile(self) -> Path | None: ...  # noqa: D102
    @property
    def kafka_ssl_password(self) -> Any: ...  # noqa: D102
    @property
    def kafka_sasl_mechanism(self) -> str: ...  # noqa: D102
    @property
    def kafka_sasl_plain_username(self) -> str | None: ...  # noqa: D102
    @property
    def kafka_sasl_plain_password(self) -> Any: ...  # noqa: D102
    @property
    def kafka_sasl_oauth_token_path(self) -> Path | None: ...  # noqa: D102

    def kafka_client_options(self) -> dict[str, Any]:
        """Return the keyword arguments by which every aiokafka client finds the brokers."""


def fault_of_topic(name: str) -> str | None:
    """Return what is wrong with the name of a topic."""
    if name in {".", ".."}:
        return f"{name!r} is not a name"
    if not _TOPIC.fullmatch(name):
        return f"a name has 1 to {MAX_TOPIC_CHARACTERS} letters, digits, dots, underscores and hyphens"
    return None


def fault_of_servers(servers: str) -> str | None:
    """Return what is wrong with a list of brokers."""
    for server in servers.split(","):
        match = _SERVER.fullmatch(server.strip())
        if not match or not 0 < int(match[2]) <= _MAX_PORT:
            return f"{server.strip()!r} is not host:port"
    return None


def faults_of_access(settings: KafkaAccess) -> list[str]:
    """Return a sentence for each file that cannot be read, and for what belongs together and is not given together."""
    return [*_faults_of_tls(settings), *_faults_of_sasl(settings)]


def client_options(settings: KafkaAccess) -> dict[str, Any]:
    """Return the keyword arguments by which every aiokafka client finds the brokers."""
    options = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_sasl_plain_username,
        "sasl_plain_password": _revealed(settings.kafka_sasl_plain_password),
        "ssl_context": _ssl_context(settings) if settings.kafka_security_protocol.endswith("SSL") else None,
    }
    if settings.kafka_sasl_mechanism == "OAUTHBEARER" and settings.kafka_sasl_oauth_token_path:
        from operator_status.kafka_token import TokenFile  # noqa: PLC0415 - who has these settings may have no Kafka

        options["sasl_oauth_token_provider"] = TokenFile(settings.kafka_sasl_oauth_token_path)
    return options


@contextmanager
def quiet_connection_attempts() -> Iterator[None]:
    """Keep aiokafka from logging each failed attempt to connect; the sentence at the end says it once."""
    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _faults_of_sasl(settings: KafkaAccess) -> Iterator[str]:
    if not settings.kafka_security_protocol.startswith("SASL"):
        return
    if settings.kafka_sasl_mechanism == "OAUTHBEARER":
        if not settings.kafka_sasl_oauth_token_path:
            yield "KAFKA_SASL_MECHANISM=OAUTHBEARER needs KAFKA_SASL_OAUTH_TOKEN_PATH"
        yield from faults_of_files({"KAFKA_SASL_OAUTH_TOKEN_PATH": settings.kafka_sasl_oauth_token_path})
    elif not (settings.kafka_sasl_plain_username and settings.kafka_sasl_plain_password):
        yield "KAFKA_SECURITY_PROTOCOL=SASL_... needs KAFKA_SASL_PLAIN_USERNAME and KAFKA_SASL_PLAIN_PASSWORD"


def _faults_of_tls(settings: KafkaAccess) -> list[str]:
    if not settings.kafka_security_protocol.endswith("SSL"):
        return []
    names = ("kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile")
    if faults := faults_of_files({name.upper(): getattr(settings, name) for name in names}):
        return faults
    if settings.kafka_ssl_keyfile and not settings.kafka_ssl_certfile:
        return ["KAFKA_SSL_KEYFILE needs KAFKA_SSL_CERTFILE, the certificate that it is the key of"]
    try:
        _ssl_context(settings)
    except ValueError as error:
        return [str(error)]
    return []


def _ssl_context(settings: KafkaAccess) -> ssl.SSLContext:
    password = _revealed(settings.kafka_ssl_password) or ""
    return context_of(settings.kafka_ssl_cafile, settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile, password)


def _revealed(secret: Any) -> Any:
    return secret.get_secret_value() if hasattr(secret, "get_secret_value") else secret
