"""A worker's settings: where Kafka is, from the environment or by name, with all faults told together."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

from operator_status.environment import given_by
from operator_status.errors import SettingsError
from operator_status.kafka_access import client_options, fault_of_servers, fault_of_topic, faults_of_access

SPOOL_VARIABLE: Final = "WORKER_SPOOL"
PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")


@dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """Where the log is; each field is the environment variable of its name in capitals."""

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_topic: str = "job-events"
    kafka_security_protocol: str = "PLAINTEXT"
    kafka_ssl_cafile: Path | None = None
    kafka_ssl_certfile: Path | None = None
    kafka_ssl_keyfile: Path | None = None
    kafka_ssl_password: str | None = field(default=None, repr=False)
    kafka_sasl_mechanism: str = "PLAIN"
    kafka_sasl_plain_username: str | None = None
    kafka_sasl_plain_password: str | None = field(default=None, repr=False)
    kafka_sasl_oauth_token_path: Path | None = None

    @classmethod
    def load(cls, environment: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Self:
        """Return the settings that the environment and the overrides (by field name) describe.

        Raises SettingsError with every fault at once.
        """
        flags = {name: value for name, value in (overrides or {}).items() if value is not None}
        given, faults = given_by([it.name for it in fields(cls) if it.name not in flags], environment)
        given = {name: _typed(name, value) for name, value in (given | flags).items()}
        wrong = {name: fault for name, value in given.items() if (fault := _fault(name, value))}
        faults += [f"{name.upper()}: {fault}" for name, fault in wrong.items()]
        settings = cls(**{name: value for name, value in given.items() if name not in wrong})
        if faults := [*faults, *faults_of_access(settings)]:
            raise SettingsError(faults)
        return settings

    def kafka_client_options(self) -> dict[str, Any]:
        """Return the keyword arguments by which every aiokafka client finds the brokers."""
        return client_options(self)


DESCRIPTIONS: Final = {
    "kafka_bootstrap_servers": "Kafka brokers, host:port,...",
    "kafka_topic": "Topic of the job events.",
    "kafka_security_protocol": "How brokers are spoken to.",
    "kafka_ssl_cafile": "CA certificates that brokers are checked against.",
    "kafka_ssl_certfile": "Certificate of this client.",
    "kafka_ssl_keyfile": "Private key of this client.",
    "kafka_ssl_password": "Password of the private key.",
    "kafka_sasl_mechanism": "How this client proves who it is.",
    "kafka_sasl_plain_username": "User name for SASL.",
    "kafka_sasl_plain_password": "Password for SASL.",
    "kafka_sasl_oauth_token_path": "File with the token for OAUTHBEARER, read anew for each connection.",
}
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "kafka_security_protocol": PROTOCOLS,
    "kafka_sasl_mechanism": MECHANISMS,
}
_PATHS: Final = frozenset(it.name for it in fields(KafkaSettings) if "Path" in str(it.type))


def _typed(name: str, value: Any) -> Any:
    if name in _PATHS:
        return Path(value)
    return value.strip() if name == "kafka_bootstrap_servers" else value


def _fault(name: str, value: Any) -> str | None:
    """Return what is wrong with one setting by itself."""
    if name == "kafka_bootstrap_servers":
        return fault_of_servers(value)
    if name == "kafka_topic":
        return fault_of_topic(value)
    if value not in CHOICES.get(name, (value,)):
        return "there are " + ", ".join(CHOICES[name])
    return None
