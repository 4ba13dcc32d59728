"""Settings: read once from a mapping such as `os.environ` into a frozen object, with all faults reported together.

The name of a field in capitals is the environment variable's name. A value may come from a file instead:
`NAME_FILE=/run/secrets/name`. Empty values count as not given.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from operator_status.environment import given_by, is_service_link
from operator_status.kafka_access import (
    MAX_TOPIC_CHARACTERS,
    client_options,
    fault_of_servers,
    fault_of_topic,
    faults_of_access,
)
from operator_status.settings import DESCRIPTIONS
from service import redis_url
from service.errors import SettingsError

__all__ = [
    "MAX_TOPIC_CHARACTERS",
    "Host",
    "KafkaSettings",
    "Port",
    "RedisSettings",
    "Settings",
    "TopicName",
    "is_service_link",
]


def _is_topic(name: str) -> str:
    if fault := fault_of_topic(name):
        raise ValueError(fault)
    return name


def _without_brackets(host: str) -> str:
    """Return the host as a socket takes it: in a URL an IPv6 address stands in brackets, and so many write it."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


TopicName = Annotated[str, AfterValidator(_is_topic)]
Host = Annotated[str, Field(min_length=1), AfterValidator(_without_brackets)]
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
        flags = {name: value for name, value in (overrides or {}).items() if value is not None}
        given, faults = given_by([name for name in cls.model_fields if name not in flags], environment)
        given |= flags
        faults += _faults(cls, given)
        if faults:
            raise SettingsError(faults)
        return cls.model_validate(given)


class KafkaSettings(Settings):
    """Where the log is."""

    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9092", min_length=1, description=DESCRIPTIONS["kafka_bootstrap_servers"]
    )
    kafka_topic: TopicName = Field("job-events", description=DESCRIPTIONS["kafka_topic"])
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description=DESCRIPTIONS["kafka_security_protocol"]
    )
    kafka_ssl_cafile: Path | None = Field(None, description=DESCRIPTIONS["kafka_ssl_cafile"])
    kafka_ssl_certfile: Path | None = Field(None, description=DESCRIPTIONS["kafka_ssl_certfile"])
    kafka_ssl_keyfile: Path | None = Field(None, description=DESCRIPTIONS["kafka_ssl_keyfile"])
    kafka_ssl_password: SecretStr | None = Field(None, description=DESCRIPTIONS["kafka_ssl_password"])
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "PLAIN", description=DESCRIPTIONS["kafka_sasl_mechanism"]
    )
    kafka_sasl_plain_username: str | None = Field(None, description=DESCRIPTIONS["kafka_sasl_plain_username"])
    kafka_sasl_plain_password: SecretStr | None = Field(None, description=DESCRIPTIONS["kafka_sasl_plain_password"])
    kafka_sasl_oauth_token_path: Path | None = Field(None, description=DESCRIPTIONS["kafka_sasl_oauth_token_path"])

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _has_ports(cls, value: str) -> str:
        if fault := fault_of_servers(value):
            raise ValueError(fault)
        return value.strip()

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        if faults := faults_of_access(self):
            raise ValueError("\n".join(faults))
        return self

    def kafka_client_options(self) -> dict[str, Any]:
        """Return the keyword arguments by which every aiokafka client finds the brokers."""
        return client_options(self)


class RedisSettings(Settings):
    """Where the projection is."""

    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="redis://, redis+cluster:// or redis+sentinel:// of Redis or Valkey; rediss for TLS.",
    )
    redis_prefix: str = Field(
        "operator", pattern=r"^[^{}\s]{1,64}$", description="What every key starts with; one Redis can hold several."
    )

    @field_validator("redis_url")
    @classmethod
    def _can_be_read(cls, value: SecretStr) -> SecretStr:
        if fault := redis_url.fault_of(value.get_secret_value()):
            raise ValueError(fault)
        return value


def _faults(settings: type[Settings], given: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each fault.

    Checks across fields run only when every field is right by itself: hence once more without those that are not.
    """
    faults = _errors(settings, given)
    at_fault = {fault["loc"][0] for fault in faults if fault["loc"]}
    if at_fault:
        rest = {name: value for name, value in given.items() if name not in at_fault}
        faults += [fault for fault in _errors(settings, rest) if not fault["loc"]]
    return [_sentence(fault) for fault in faults]


def _errors(settings: type[Settings], given: Mapping[str, Any]) -> list[ErrorDetails]:
    try:
        settings.model_validate(given)
    except ValidationError as error:
        return error.errors(include_url=False, include_input=False)
    return []


def _sentence(fault: ErrorDetails) -> str:
    """Return the fault in words; pydantic's own quote no value, and ours only where it cannot be a secret."""
    text = fault["msg"].removeprefix("Value error, ")
    return f"{str(fault['loc'][0]).upper()}: {text}" if fault["loc"] else text
