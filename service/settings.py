"""Settings: read once from a mapping such as `os.environ` into a frozen object, with all faults reported together.

The name of a field in capitals is the environment variable's name. A value may come from a file instead:
`NAME_FILE=/run/secrets/name`. Empty values count as not given.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from service.errors import SettingsError

MAX_TOPIC_CHARACTERS: Final = 249
REDIS_SCHEMES: Final = ("redis://", "rediss://", "redis+cluster://", "rediss+cluster://")

_TOPIC: Final = rf"^[a-zA-Z0-9._-]{{1,{MAX_TOPIC_CHARACTERS}}}$"
_FILE_SUFFIX: Final = "_FILE"
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseModel):
    """What every process can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    log_format: Literal["console", "json"] = Field("console", description="Log lines for people, or as JSON.")
    start_timeout_seconds: float = Field(30, gt=0, le=3600, description="Longest wait for a service at start.")

    @classmethod
    def load(cls, environment: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Self:
        """Return the settings that the environment and the overrides (flags, by field name) describe.

        Raises SettingsError with every fault at once.
        """
        given, faults = _given(cls, environment)
        given |= {name: value for name, value in (overrides or {}).items() if value is not None}
        try:
            settings = cls.model_validate(given)
        except ValidationError as error:
            faults += _sentences(error)
        if faults:
            raise SettingsError(faults)
        return settings


class KafkaSettings(Settings):
    """Where the log is."""

    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", min_length=1, description="Kafka brokers, host:port,...")
    kafka_topic: str = Field("job-events", pattern=_TOPIC, description="Topic of the job events.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How brokers are spoken to."
    )
    kafka_ssl_cafile: Path | None = Field(None, description="CA certificates that brokers are checked against.")
    kafka_ssl_certfile: Path | None = Field(None, description="Certificate of this client.")
    kafka_ssl_keyfile: Path | None = Field(None, description="Private key of this client.")
    kafka_ssl_password: SecretStr | None = Field(None, description="Password of the private key.")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="How this client proves who it is."
    )
    kafka_sasl_plain_username: str | None = Field(None, description="User name for SASL.")
    kafka_sasl_plain_password: SecretStr | None = Field(None, description="Password for SASL.")

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _has_ports(cls, value: str) -> str:
        for server in value.split(","):
            host, _, port = server.strip().rpartition(":")
            if not host or not port.isdecimal():
                message = f"{server.strip()!r} is not host:port"
                raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _sasl_is_complete(self) -> Self:
        has_credentials = self.kafka_sasl_plain_username and self.kafka_sasl_plain_password
        if self.kafka_security_protocol.startswith("SASL") and not has_credentials:
            message = "KAFKA_SECURITY_PROTOCOL=SASL_... needs KAFKA_SASL_PLAIN_USERNAME and KAFKA_SASL_PLAIN_PASSWORD"
            raise ValueError(message)
        return self

    def kafka_client_options(self) -> dict[str, Any]:
        """Return the keyword arguments by which every aiokafka client finds the brokers.

        Raises SettingsError when a certificate cannot be read.
        """
        password = self.kafka_sasl_plain_password
        return {
            "bootstrap_servers": self.kafka_bootstrap_servers,
            "security_protocol": self.kafka_security_protocol,
            "sasl_mechanism": self.kafka_sasl_mechanism,
            "sasl_plain_username": self.kafka_sasl_plain_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
            "ssl_context": self._ssl_context() if self.kafka_security_protocol.endswith("SSL") else None,
        }

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.kafka_ssl_cafile)
            if self.kafka_ssl_certfile:
                secret = self.kafka_ssl_password
                context.load_cert_chain(
                    self.kafka_ssl_certfile, self.kafka_ssl_keyfile, secret.get_secret_value() if secret else None
                )
        except (OSError, ssl.SSLError) as error:
            raise SettingsError([f"KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE, KAFKA_SSL_KEYFILE: {error}"]) from error
        return context


class RedisSettings(Settings):
    """Where the projection is."""

    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="Redis or Valkey: redis://, rediss:// or redis+cluster://."
    )
    redis_prefix: str = Field(
        "operator", pattern=r"^[^{}\s]{1,64}$", description="What every key starts with; one Redis can hold several."
    )

    @field_validator("redis_url")
    @classmethod
    def _has_known_scheme(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(REDIS_SCHEMES):
            message = "must start with " + ", ".join(REDIS_SCHEMES)
            raise ValueError(message)
        return value


def _given(settings: type[Settings], environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return what the environment says, by field name, and the faults of `..._FILE` variables."""
    given: dict[str, Any] = {}
    faults: list[str] = []
    for field in settings.model_fields:
        name = field.upper()
        path = environment.get(name + _FILE_SUFFIX)
        if path and environment.get(name):
            faults.append(f"{name} and {name}{_FILE_SUFFIX} are both given; give one")
        elif path:
            try:
                given[field] = Path(path).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                faults.append(f"{name}{_FILE_SUFFIX}: {error}")
        elif environment.get(name):
            given[field] = environment[name]
    return given, faults


def _sentences(error: ValidationError) -> list[str]:
    """Return one sentence for each fault; a value is quoted only where it cannot be a secret."""
    sentences = []
    for fault in error.errors(include_url=False):
        name = str(fault["loc"][0]).upper() if fault["loc"] else ""
        text = fault["msg"].removeprefix("Value error, ")
        sentences.append(f"{name}: {text}" if name else text)
    return sentences
