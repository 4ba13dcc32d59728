"""Settings: where they come from, that all faults are told at once, and that secrets are told to nobody."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr, ValidationError

from service.errors import SettingsError
from service.settings import KafkaSettings, Port, RedisSettings, Settings


class ExampleSettings(Settings):
    """Settings with a field of each kind."""

    name: str = Field("nobody", pattern="^[a-z]+$", description="A name.")
    port: Port = Field(80, description="A port.")
    is_quiet: bool = Field(default=False, description="A switch.")
    token: SecretStr | None = Field(None, description="A secret.")


class Listening(Settings):
    """Settings of something that listens."""

    api_port: Port = Field(80, description="A port.")


class Everything(KafkaSettings, RedisSettings):
    """All settings that processes share."""


def faults_of(
    environment: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    settings: type[Settings] = ExampleSettings,
) -> tuple[str, ...]:
    """Return the faults of settings that cannot be loaded."""
    with pytest.raises(SettingsError) as caught:
        settings.load(environment, overrides)
    return caught.value.faults


def secret_of(settings: ExampleSettings) -> str | None:
    """Return the secret in the example settings."""
    return settings.token.get_secret_value() if settings.token else None


def test_nothing_need_be_given() -> None:
    """Every setting has a default that works on one machine."""
    settings = Everything.load({"UNRELATED": "x", "PATH": "/bin"})
    assert settings == Everything()
    assert settings.kafka_bootstrap_servers == "127.0.0.1:9092"
    assert settings.redis_url.get_secret_value() == "redis://127.0.0.1:6379/0"


def test_the_environment_is_read_by_names_in_capitals() -> None:
    """A variable gives the setting of its name, turned into its type."""
    settings = ExampleSettings.load({"NAME": "alice", "PORT": "8080", "IS_QUIET": "true", "TOKEN": "t", "port": "1"})
    assert (settings.name, settings.port, settings.is_quiet, secret_of(settings)) == ("alice", 8080, True, "t")


def test_empty_is_not_given() -> None:
    """An empty variable, as compose files leave it, is the same as none."""
    empty = {name: "" for field in ExampleSettings.model_fields for name in (field.upper(), f"{field.upper()}_FILE")}
    assert ExampleSettings.load(empty) == ExampleSettings()


def test_all_faults_are_told_at_once() -> None:
    """An operator who made several mistakes learns of all of them, each under the name of its variable."""
    faults = faults_of(
        {
            "LOG_FORMAT": "xml",
            "START_TIMEOUT_SECONDS": "soon",
            "KAFKA_TOPIC": "a b",
            "KAFKA_BOOTSTRAP_SERVERS": "example.net",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SSL_PASSWORD_FILE": "/does/not/exist",
            "REDIS_URL": "http://example.net",
            "REDIS_PREFIX": "{a}",
        },
        settings=Everything,
    )
    names = [fault.split(":")[0].split("=")[0] for fault in faults]
    assert sorted(names) == [
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_SECURITY_PROTOCOL",
        "KAFKA_SSL_PASSWORD_FILE",
        "KAFKA_TOPIC",
        "LOG_FORMAT",
        "REDIS_PREFIX",
        "REDIS_URL",
        "START_TIMEOUT_SECONDS",
    ]


@pytest.mark.parametrize("value", ["0", "-1", "3601", "nan", "inf", "1s", ""])
def test_the_wait_at_start_has_limits(value: str) -> None:
    """A wait is longer than nothing and shorter than for ever."""
    if value:
        assert faults_of({"START_TIMEOUT_SECONDS": value})[0].startswith("START_TIMEOUT_SECONDS: ")
    else:
        assert ExampleSettings.load({"START_TIMEOUT_SECONDS": value}).start_timeout_seconds == 30


@pytest.mark.parametrize("value", ["-1", "65536", "http", "80.5"])
def test_a_port_is_a_port(value: str) -> None:
    """A port is a number from 0 to 65535."""
    assert faults_of({"PORT": value})[0].startswith("PORT: ")


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_what_kubernetes_sets_for_a_service_is_no_port(protocol: str) -> None:
    """A service called `api` gives every container beside it API_PORT=tcp://...: that is nothing we were told."""
    link = f"{protocol}://10.96.7.3:8080"
    assert Listening.load({"API_PORT": link}) == Listening()
    assert faults_of({"API_PORT": "http://10.96.7.3:8080"}, settings=Listening)
    assert faults_of({}, {"api_port": link}, Listening)


def test_flags_override_the_environment() -> None:
    """A flag counts before the variable, even before one that is wrong; None is a flag that was not given."""
    environment = {"NAME": "NOT VALID", "PORT_FILE": "/does/not/exist", "TOKEN": "from the environment"}
    settings = ExampleSettings.load(environment, {"name": "bob", "port": "81", "token": None})
    assert (settings.name, settings.port, secret_of(settings)) == ("bob", 81, "from the environment")


def test_a_wrong_flag_is_a_fault() -> None:
    """A flag is held to the same rules."""
    assert faults_of({"NAME": "alice"}, {"name": "NOT VALID"})[0].startswith("NAME: ")
    assert len(faults_of({}, {"unknown": "x"})) == 1


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    """A variable that ends in _FILE names the file of the value, which ends before the line break at its end."""
    (tmp_path / "token").write_text(" pässword \r\n", encoding="utf-8")
    (tmp_path / "port").write_text("8080\n", encoding="utf-8")
    settings = ExampleSettings.load({"TOKEN_FILE": str(tmp_path / "token"), "PORT_FILE": str(tmp_path / "port")})
    assert (secret_of(settings), settings.port) == (" pässword ", 8080)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(None, "No such file", id="missing"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\n", "is empty", id="only a line break"),
        pytest.param(b"secret\xff", "not UTF-8", id="not UTF-8"),
    ],
)
def test_a_file_that_holds_no_value_is_a_fault(tmp_path: Path, content: bytes | None, text: str) -> None:
    """A file that is missing, empty or not text is a fault that names the variable and the file, not its content."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    (fault,) = faults_of({"TOKEN_FILE": str(path)})
    assert fault.startswith("TOKEN_FILE: ")
    assert text in fault
    assert str(path) in fault
    assert "secret" not in fault
    assert "xff" not in fault


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    """A directory in place of a file is a fault."""
    assert faults_of({"TOKEN_FILE": str(tmp_path)})[0].startswith("TOKEN_FILE: ")


def test_a_value_and_its_file_are_not_both_given(tmp_path: Path) -> None:
    """Of a value and a file nobody can know which one was meant."""
    assert faults_of({"TOKEN": "a", "TOKEN_FILE": str(tmp_path)}) == ("TOKEN and TOKEN_FILE are both given; give one",)


def test_settings_cannot_be_changed() -> None:
    """What was read once stays as it is."""
    settings = ExampleSettings()
    with pytest.raises(ValidationError):
        settings.name = "mallory"  # type: ignore[misc]


def test_secrets_are_shown_to_nobody() -> None:
    """Settings can be printed and logged: secrets are stars."""
    settings = Everything.load(
        {
            "REDIS_URL": "redis://:SECRET@example.net",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_PLAIN_USERNAME": "alice",
            "KAFKA_SASL_PLAIN_PASSWORD": "SECRET",
            "KAFKA_SSL_PASSWORD": "SECRET",
        }
    )
    for text in (repr(settings), str(settings), settings.model_dump_json(), f"{settings.model_dump()}"):
        assert "SECRET" not in text
        assert "alice" in text


@pytest.mark.parametrize(
    "url",
    [
        "SECRET",
        "http://:SECRET@example.net",
        "redis://:SEC/SECRET@example.net",
        "redis://:SEC#SECRET@example.net",
        "redis://:SEC?SECRET@example.net",
        "redis://:[SECRET@example.net",
        "redis://:SECRET@",
        "redis://example.net:SECRET",
        "redis://:SECRET@example.net/SECRET",
        "redis://:SECRET@example.net?SECRET=SECRET",
    ],
)
def test_a_fault_does_not_quote_a_secret(url: str) -> None:
    """What is said of a wrong URL of Redis holds nothing of it, for its password may stand anywhere."""
    (fault,) = faults_of({"REDIS_URL": url}, settings=RedisSettings)
    assert fault.startswith("REDIS_URL: ")
    assert "SEC" not in fault
