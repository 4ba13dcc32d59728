"""Settings: read once from a mapping such as `os.environ` into a frozen object, with all faults reported together.

The name of a field in capitals is the environment variable's name. A value may come from a file instead:
`NAME_FILE=/run/secrets/name`. Empty values count as not given.
"""

import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

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

from service import kafka_tls, redis_url
from service.errors import SettingsError

MAX_TOPIC_CHARACTERS: Final = 249

_TOPIC: Final = rf"^[a-zA-Z0-9._-]{{1,{MAX_TOPIC_CHARACTERS}}}$"
# A name, an IPv4 address or an IPv6 address in brackets, then a port.
_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):[0-9]{1,5}")
_FILE_SUFFIX: Final = "_FILE"
# Kubernetes gives every container `<SERVICE>_PORT=tcp://10.96.7.3:8080` for each service beside it.
_PORT_SUFFIX: Final = "_PORT"
_SERVICE_LINK: Final = re.compile(r"(tcp|udp|sctp)://\S+:[0-9]{1,5}")


def _is_no_path(name: str) -> str:
    if name in {".", ".."}:
        raise ValueError(f"{name!r} is not a name")
    return name


TopicName = Annotated[str, Field(pattern=_TOPIC), AfterValidator(_is_no_path)]
Port = Annotated[int, Field(ge=0, le=65535)]


def is_service_link(name: str, value: str | None) -> bool:
    """Tell whether a variable is one that Kubernetes sets for a service of its name, and no setting of ours."""
    return name.endswith(_PORT_SUFFIX) and _SERVICE_LINK.fullmatch(value or "") is not None


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
        given, faults = _given([name for name in cls.model_fields if name not in flags], environment)
        given |= flags
        faults += _faults(cls, given)
        if faults:
            raise SettingsError(faults)
        return cls.model_validate(given)


class KafkaSettings(Settings):
    """Where the log is."""

    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", min_length=1, description="Kafka brokers, host:port,...")
    kafka_topic: TopicName = Field("job-events", description="Topic of the job events.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How brokers are spoken to."
    )
    kafka_ssl_cafile: Path | None = Field(None, description="CA certificates that brokers are checked against.")
    kafka_ssl_certfile: Path | None = Field(None, description="Certificate of this client.")
    kafka_ssl_keyfile: Path | None = Field(None, description="Private key of this client.")
    kafka_ssl_password: SecretStr | None = Field(None, description="Password of the private key.")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "PLAIN", description="How this client proves who it is."
    )
    kafka_sasl_plain_username: str | None = Field(None, description="User name for SASL.")
    kafka_sasl_plain_password: SecretStr | None = Field(None, description="Password for SASL.")
    kafka_sasl_oauth_token_path: Path | None = Field(
        None, description="File with the token for OAUTHBEARER, read anew for each connection."
    )

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _has_ports(cls, value: str) -> str:
        for server in value.split(","):
            if not _SERVER.fullmatch(server.strip()):
                raise ValueError(f"{server.strip()!r} is not host:port")
        return value

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        faults = [*self._faults_of_tls(), *self._faults_of_sasl()]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _faults_of_sasl(self) -> Iterator[str]:
        if not self.kafka_security_protocol.startswith("SASL"):
            return
        if self.kafka_sasl_mechanism == "OAUTHBEARER":
            if not self.kafka_sasl_oauth_token_path:
                yield "KAFKA_SASL_MECHANISM=OAUTHBEARER needs KAFKA_SASL_OAUTH_TOKEN_PATH"
            yield from kafka_tls.faults_of_files({"KAFKA_SASL_OAUTH_TOKEN_PATH": self.kafka_sasl_oauth_token_path})
        elif not (self.kafka_sasl_plain_username and self.kafka_sasl_plain_password):
            yield "KAFKA_SECURITY_PROTOCOL=SASL_... needs KAFKA_SASL_PLAIN_USERNAME and KAFKA_SASL_PLAIN_PASSWORD"

    def _faults_of_tls(self) -> list[str]:
        names = ("kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile")
        if not self.kafka_security_protocol.endswith("SSL"):
            return []
        if faults := kafka_tls.faults_of_files({name.upper(): getattr(self, name) for name in names}):
            return faults
        try:
            self._ssl_context()
        except ValueError as error:
            return [str(error)]
        return []

    def kafka_client_options(self) -> dict[str, Any]:
        """Return the keyword arguments by which every aiokafka client finds the brokers."""
        password, has_token = self.kafka_sasl_plain_password, self.kafka_sasl_mechanism == "OAUTHBEARER"
        options = {
            "bootstrap_servers": self.kafka_bootstrap_servers,
            "security_protocol": self.kafka_security_protocol,
            "sasl_mechanism": self.kafka_sasl_mechanism,
            "sasl_plain_username": self.kafka_sasl_plain_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
            "ssl_context": self._ssl_context() if self.kafka_security_protocol.endswith("SSL") else None,
        }
        if has_token and self.kafka_sasl_oauth_token_path:
            from service.kafka_token import TokenFile  # noqa: PLC0415 - the API has these settings' file, and no Kafka

            options["sasl_oauth_token_provider"] = TokenFile(self.kafka_sasl_oauth_token_path)
        return options

    def _ssl_context(self) -> ssl.SSLContext:
        secret = self.kafka_ssl_password
        password = secret.get_secret_value() if secret else ""
        return kafka_tls.context_of(self.kafka_ssl_cafile, self.kafka_ssl_certfile, self.kafka_ssl_keyfile, password)


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


def _given(fields: Iterable[str], environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return what the environment says of these fields, by field name, and the faults of `..._FILE` variables."""
    given: dict[str, Any] = {}
    faults: list[str] = []
    for field in fields:
        name = field.upper()
        path = environment.get(name + _FILE_SUFFIX)
        if path and environment.get(name):
            faults.append(f"{name} and {name}{_FILE_SUFFIX} are both given; give one")
        elif path:
            try:
                given[field] = _read(path)
            except (OSError, ValueError) as error:
                faults.append(f"{name}{_FILE_SUFFIX}: {error}")
        elif environment.get(name) and not is_service_link(name, environment[name]):
            given[field] = environment[name]
    return given, faults


def _read(path: str) -> str:
    """Return what a file holds without the line break at its end; OSError or ValueError, which never quotes it."""
    try:
        text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path!r} is not UTF-8 text") from None
    if not text:
        raise ValueError(f"{path!r} is empty")
    return text


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
