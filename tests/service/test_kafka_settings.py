"""Settings by which Kafka is reached."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from operator_status.settings import KafkaSettings as WorkerSettings
from service.errors import SettingsError
from service.settings import KafkaSettings

SASL = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_SASL_PLAIN_USERNAME": "alice",
    "KAFKA_SASL_PLAIN_PASSWORD": "word",
}


@pytest.mark.parametrize(
    "servers",
    [
        "localhost:9092",
        "a:1,b:2",
        "a:1, b:2",
        "127.0.0.1:65535",
        "[::1]:9092",
        "kafka-0.kafka.svc:9092",
        "[fe80::1%eth0]:9092",
    ],
)
def test_brokers_are_hosts_and_ports(servers: str) -> None:
    """One broker or several, by name or by address, each with its port."""
    assert KafkaSettings.load({"KAFKA_BOOTSTRAP_SERVERS": servers}).kafka_bootstrap_servers == servers


@pytest.mark.parametrize(
    "servers",
    [
        "localhost",
        ":9092",
        "localhost:",
        "a:1,",
        "a:1,,b:2",
        "a:x",
        "a:９",
        "a:123456",
        "a:65536",
        "a:0",
        "[::g]:9092",
        "PLAINTEXT://a:1",
        "::1:9",
        "a b:1",
    ],
)
def test_a_broker_without_host_or_port_is_a_fault(servers: str) -> None:
    """What is not host:port is told before anything connects, and quoted, for it is no secret."""
    with pytest.raises(SettingsError, match=r"KAFKA_BOOTSTRAP_SERVERS: '.*' is not host:port"):
        KafkaSettings.load({"KAFKA_BOOTSTRAP_SERVERS": servers})


@pytest.mark.parametrize("load", [KafkaSettings.load, WorkerSettings.load])
def test_white_space_around_brokers_counts_for_nothing(load: Callable[[dict[str, str]], Any]) -> None:
    """The line break that a secret or a file brought along is in no message, and stops nobody."""
    assert load({"KAFKA_BOOTSTRAP_SERVERS": " a:1\n"}).kafka_bootstrap_servers == "a:1"


@pytest.mark.parametrize("topic", ["a b", "a/b", "ä", "x" * 250, "a\n"])
def test_a_topic_has_a_name_that_kafka_takes(topic: str) -> None:
    """A topic's name is of letters, digits, dots, dashes and underscores, at most 249."""
    with pytest.raises(SettingsError, match="KAFKA_TOPIC"):
        KafkaSettings.load({"KAFKA_TOPIC": topic})
    assert KafkaSettings.load({"KAFKA_TOPIC": "x" * 249}).kafka_topic == "x" * 249


@pytest.mark.parametrize("missing", ["KAFKA_SASL_PLAIN_USERNAME", "KAFKA_SASL_PLAIN_PASSWORD"])
def test_sasl_needs_name_and_password(missing: str) -> None:
    """With SASL both name and password must be given, and are handed to the client."""
    with pytest.raises(SettingsError, match=missing):
        KafkaSettings.load({name: value for name, value in SASL.items() if name != missing})
    options = KafkaSettings.load(SASL).kafka_client_options()
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("alice", "word")
    assert options["ssl_context"] is None


def test_without_security_nothing_is_needed() -> None:
    """The default speaks plaintext, without credentials."""
    assert KafkaSettings().kafka_client_options() == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": None,
        "sasl_plain_password": None,
        "ssl_context": None,
    }


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
def test_certificates_of_brokers_are_checked(protocol: str) -> None:
    """With TLS a broker must prove that it is the host that was asked for."""
    context = KafkaSettings.load(SASL | {"KAFKA_SECURITY_PROTOCOL": protocol}).kafka_client_options()["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("name", ["KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE"])
def test_a_certificate_that_cannot_be_read_is_a_fault(name: str, tmp_path: Path) -> None:
    """A file that is missing or holds no certificate is told as a fault of the settings."""
    (tmp_path / "broken.pem").write_text("no certificate")
    for path in ("/does/not/exist", str(tmp_path / "broken.pem")):
        with pytest.raises(SettingsError, match=name):
            KafkaSettings.load({"KAFKA_SECURITY_PROTOCOL": "SSL", name: path})


def test_a_key_needs_its_certificate(tmp_path: Path) -> None:
    """A key alone would prove nothing and be passed over in silence: it is told."""
    (tmp_path / "key").touch()
    with pytest.raises(SettingsError, match="KAFKA_SSL_KEYFILE needs KAFKA_SSL_CERTFILE"):
        KafkaSettings.load({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEYFILE": str(tmp_path / "key")})


def test_all_files_that_are_missing_are_told_together() -> None:
    """Every file is named with its setting, together with what SASL lacks."""
    names = ("KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE", "KAFKA_SSL_KEYFILE")
    given = {name: f"/no/{name}" for name in names}
    with pytest.raises(SettingsError) as caught:
        KafkaSettings.load(given | {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "OAUTHBEARER"})
    for name in names:
        assert f"{name}: '/no/{name}' cannot be read: No such file or directory" in str(caught.value)
    assert "needs KAFKA_SASL_OAUTH_TOKEN_PATH" in str(caught.value)
