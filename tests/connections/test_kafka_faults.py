"""A Kafka that is set up otherwise than its client: one sentence names what is wrong and what to change."""

import re
import socket
import time
from collections.abc import Iterator

import pytest

from service.errors import ServiceUnavailableError
from service.kafka import admin_client
from service.settings import KafkaSettings
from tests.support.certificates import Certificates
from tests.support.secured_kafka import NOWHERE, PASSWORDS, SecuredKafka

pytestmark = [pytest.mark.server, pytest.mark.group("secured-kafka")]

SOON = {"START_TIMEOUT_SECONDS": "1"}
AT_ONCE_SECONDS = 10  # and not START_TIMEOUT_SECONDS, which are 60 in these tests
BOB = {"KAFKA_SASL_PLAIN_USERNAME": "bob", "KAFKA_SASL_PLAIN_PASSWORD": PASSWORDS["bob"]}
WRONG = {"KAFKA_SASL_PLAIN_PASSWORD": "no"}
ALICE = {"KAFKA_SASL_PLAIN_USERNAME": "alice", "KAFKA_SASL_PLAIN_PASSWORD": PASSWORDS["alice"]}


def protocol(name: str, **others: str) -> dict[str, str]:
    """Return settings with this protocol; a wrong password is still a password."""
    return {"KAFKA_SECURITY_PROTOCOL": name} | (BOB if name.startswith("SASL") else {}) | others


async def sentence(servers: str, settings: dict[str, str]) -> str:
    """Return what is said of a Kafka that cannot be used with these settings."""
    with pytest.raises(ServiceUnavailableError) as caught:
        async with admin_client(KafkaSettings.load({"KAFKA_BOOTSTRAP_SERVERS": servers} | settings)) as admin:
            await admin.list_topics()
    return str(caught.value)


# The listener, the settings, and what is said of the cause and of the remedy.
FAULTS = {
    "wrong password": (
        "SASL",
        protocol("SASL_PLAINTEXT", **WRONG),
        "refuses the user 'bob' by PLAIN",
        "KAFKA_SASL_PLAIN_USERNAME and KAFKA_SASL_PLAIN_PASSWORD",
    ),
    "wrong password of SCRAM": (
        "SASL",
        protocol("SASL_PLAINTEXT", **ALICE, KAFKA_SASL_MECHANISM="SCRAM-SHA-512") | {"KAFKA_SASL_PLAIN_PASSWORD": "no"},
        "refuses the user 'alice' by SCRAM-SHA-512",
        "KAFKA_SASL_PLAIN_USERNAME and KAFKA_SASL_PLAIN_PASSWORD",
    ),
    "wrong mechanism": (
        "SASLTLS",
        protocol("SASL_SSL", KAFKA_SASL_MECHANISM="SCRAM-SHA-256", KAFKA_SSL_CAFILE="{authority}"),
        "does not take the SASL mechanism SCRAM-SHA-256; it takes: PLAIN",
        "KAFKA_SASL_MECHANISM",
    ),
    "SASL where there is none": (
        "CLIENTS",
        protocol("SASL_PLAINTEXT"),
        "has no SASL, KAFKA_SECURITY_PROTOCOL is SASL_PLAINTEXT",
        "set it to PLAINTEXT",
    ),
    "no SASL where it is wanted": (
        "SASL",
        protocol("PLAINTEXT"),
        "wants SASL, KAFKA_SECURITY_PROTOCOL is PLAINTEXT",
        "set it to SASL_PLAINTEXT",
    ),
    "no SASL behind TLS": (
        "SASLTLS",
        protocol("SSL", KAFKA_SSL_CAFILE="{authority}"),
        "wants SASL, KAFKA_SECURITY_PROTOCOL is SSL",
        "set it to SASL_SSL",
    ),
    "no TLS where it is spoken": ("TLS", protocol("PLAINTEXT"), "speaks TLS", "set it to SSL"),
    "no TLS under SASL": ("SASLTLS", protocol("SASL_PLAINTEXT"), "speaks TLS", "set it to SASL_SSL"),
    "TLS where it is not spoken": (
        "CLIENTS",
        protocol("SSL", KAFKA_SSL_CAFILE="{authority}"),
        "speaks no TLS, KAFKA_SECURITY_PROTOCOL is SSL",
        "set it to PLAINTEXT",
    ),
    "TLS where only SASL is": (
        "SASL",
        protocol("SASL_SSL", KAFKA_SSL_CAFILE="{authority}"),
        "speaks no TLS, KAFKA_SECURITY_PROTOCOL is SASL_SSL",
        "set it to SASL_PLAINTEXT",
    ),
    "no authority": ("TLS", protocol("SSL"), "certificate of .* is not valid: unable to get", "set KAFKA_SSL_CAFILE"),
    "another authority": (
        "TLS",
        protocol("SSL", KAFKA_SSL_CAFILE="{other_authority}"),
        "certificate of .* is not valid",
        "set KAFKA_SSL_CAFILE",
    ),
    "no certificate of the client": (
        "MUTUAL",
        protocol("SSL", KAFKA_SSL_CAFILE="{authority}"),
        "wants a certificate of this client",
        "set KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
async def test_what_is_set_wrong_is_named_at_once(
    case: str, secured_kafka: SecuredKafka, certificates: Certificates
) -> None:
    """What no waiting can mend is told at once, with the setting to change, and never with the advice to start it."""
    listener, settings, cause, remedy = FAULTS[case]
    files = {name: value.format_map(vars(certificates)) for name, value in settings.items()}
    started = time.monotonic()
    text = await sentence(secured_kafka.address_of(listener), files | {"START_TIMEOUT_SECONDS": "60"})
    assert time.monotonic() - started < AT_ONCE_SECONDS
    assert text.startswith(f"Kafka cannot be used at {secured_kafka.address_of(listener)} (")
    said_cause, _, said_remedy = text.rpartition("): ")
    assert re.search(cause, said_cause), text
    assert remedy in said_remedy, text
    assert "start it" not in text


async def test_an_advertised_address_that_cannot_be_reached(secured_kafka: SecuredKafka) -> None:
    """The address that a broker tells is named, beside the one that answers."""
    text = await sentence(secured_kafka.address_of("LOST"), SOON)
    assert f"{secured_kafka.address_of('LOST')} answers, but it tells clients to find broker 1 at {NOWHERE}" in text
    assert "advertised.listeners" in text


async def test_a_name_that_nobody_knows() -> None:
    """A host name that cannot be resolved is named."""
    text = await sentence("nowhere.invalid:9092", SOON)
    assert "the host name nowhere.invalid is not known" in text
    assert "correct KAFKA_BOOTSTRAP_SERVERS" in text


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


async def test_nobody_answers(silent_port: int) -> None:
    """A firewall or a process that hangs is told from one that is not there."""
    text = await sentence(f"127.0.0.1:{silent_port}", SOON)
    assert f"cannot be reached at 127.0.0.1:{silent_port} (no answer from 127.0.0.1:{silent_port} in time)" in text


async def test_what_does_not_pass_is_told_of_several_servers(secured_kafka: SecuredKafka) -> None:
    """Of several servers, one of which is away, the fault that somebody has to mend is told."""
    servers = f"{NOWHERE},{secured_kafka.address_of('SASL')}"
    assert "wants SASL" in await sentence(servers, protocol("PLAINTEXT"))
