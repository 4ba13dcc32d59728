"""Why Kafka cannot be used: aiokafka tells most of it to its log alone, so the brokers are asked once more, one by one.

A broker is asked as the client asks it: name, port, TLS, SASL, then what it says of itself and of the other brokers.
The first step that fails is the fault.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import (
    BrokerResponseError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from operator_status.diagnosis.fault import STEP_SECONDS, Fault
from operator_status.diagnosis.kafka_rights import missing_right
from operator_status.diagnosis.network import Names, fault_on_the_way, silent, speaks_tls, start_it
from operator_status.kafka_access import KafkaAccess

NAMES: Final = Names("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SSL_CAFILE", "KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE")
_PROTOCOLS: Final = {
    (False, False): "PLAINTEXT",
    (True, False): "SSL",
    (False, True): "SASL_PLAINTEXT",
    (True, True): "SASL_SSL",
}
_NOBODY: Final = Fault("no answer in time", start_it(NAMES), may_pass=True)


async def diagnose(settings: KafkaAccess, error: Exception | None) -> Fault:
    """Return what an error comes from; brokers are asked when it does not say so itself."""
    if fault := told_by(settings, error):
        return fault
    faults: list[Fault] = []
    for host, port, _ in collect_hosts(settings.kafka_bootstrap_servers, randomize=False):
        fault = await _fault_at(settings, host, port)
        if fault is None:
            return untold(error)._replace(remedy="see the log of the brokers")
        faults.append(fault)
    # What does not pass by itself is what somebody has to know.
    return min(faults, key=lambda fault: fault.may_pass)


def told_by(settings: KafkaAccess, error: Exception | None) -> Fault | None:
    """Return what an error says by itself; None when brokers must be asked."""
    if fault := missing_right(settings, error):
        return fault
    if isinstance(error, SaslAuthenticationFailed):
        return _fault_of_user(settings, error)
    if isinstance(error, BrokerResponseError) and not error.retriable:
        return Fault(str(error), "see the log of the brokers")
    return None


def untold(error: Exception | None) -> Fault:
    """Return the fault of an error whose cause nobody knows."""
    return _NOBODY if error is None or not str(error) else _NOBODY._replace(cause=str(error))


def sentence(settings: KafkaAccess, fault: Fault) -> str:
    """Return the sentence for a Kafka that cannot be used."""
    place = settings.kafka_bootstrap_servers
    if fault.may_pass:
        return f"Kafka cannot be reached at {place} ({fault.cause}): {fault.remedy}"
    return f"Kafka cannot be used at {place} ({fault.cause}): {fault.remedy}"


async def _fault_at(settings: KafkaAccess, host: str, port: int) -> Fault | None:
    """Return what keeps one broker from being used; None when it, and what it advertises, can be reached."""
    try:
        connection = await _connect(settings, host, port)
    except TimeoutError:
        return silent(host, port, NAMES)
    except (KafkaError, OSError) as error:
        return await _fault_of_connection(settings, host, port, error)
    try:
        metadata = await connection.send(MetadataRequest([]))
    except (KafkaError, OSError) as error:
        return _fault_of_question(settings, host, port, error)
    finally:
        connection.close()
    return await _fault_of_answer(settings, host, port, metadata.brokers)


def _fault_of_question(settings: KafkaAccess, host: str, port: int, error: Exception) -> Fault:
    """Return the fault of a broker that says its versions, which it says to everybody, and nothing else."""
    if fault := fault_on_the_way(error, host, port, NAMES):
        return fault
    if isinstance(error, TimeoutError) or settings.kafka_security_protocol.startswith("SASL"):
        return silent(host, port, NAMES)
    return _fault_of_protocol(settings, f"{host}:{port} wants SASL", tls=_has_tls(settings), sasl=True)


async def _fault_of_answer(settings: KafkaAccess, host: str, port: int, brokers: Sequence[Any]) -> Fault | None:
    if not brokers and settings.kafka_sasl_mechanism == "OAUTHBEARER":
        # A refused token is told in the answer to the next request, which aiokafka takes for an empty cluster.
        return _fault_of_user(settings, "it has expired, or is not what its issuer writes")
    for number, advertised_host, advertised_port, *_ in brokers:
        if fault := await _fault_of_advertised(settings, number, advertised_host, advertised_port):
            return fault._replace(cause=f"{host}:{port} answers, but {fault.cause}")
    return None


async def _connect(settings: KafkaAccess, host: str, port: int, **others: Any) -> AIOKafkaConnection:
    options = settings.kafka_client_options() | others
    del options["bootstrap_servers"]
    async with asyncio.timeout(2 * STEP_SECONDS):  # aiokafka counts each of its steps anew
        return await create_conn(host, port, request_timeout_ms=int(STEP_SECONDS * 1000), **options)


async def _fault_of_connection(settings: KafkaAccess, host: str, port: int, error: Exception) -> Fault:
    if isinstance(error, SaslAuthenticationFailed):
        return _fault_of_user(settings, error)
    if isinstance(error, UnsupportedSaslMechanismError):
        return await _fault_of_mechanism(settings, host, port)
    if isinstance(error, IllegalSaslStateError):
        return _fault_of_protocol(settings, f"{host}:{port} has no SASL", tls=_has_tls(settings), sasl=False)
    return fault_on_the_way(error, host, port, NAMES) or await _fault_of_language(settings, host, port, error)


async def _fault_of_language(settings: KafkaAccess, host: str, port: int, error: Exception) -> Fault:
    """Return the fault of a server that does not understand what it is told: with TLS, without, or no Kafka at all."""
    has_sasl = settings.kafka_security_protocol.startswith("SASL")
    if not _has_tls(settings) and await speaks_tls(host, port):
        return _fault_of_protocol(settings, f"{host}:{port} speaks TLS", tls=True, sasl=has_sasl)
    if _has_tls(settings) and await _speaks_plaintext(settings, host, port):
        return _fault_of_protocol(settings, f"{host}:{port} speaks no TLS", tls=False, sasl=has_sasl)
    return Fault(f"{host}:{port} does not speak as Kafka does: {error}", f"correct {NAMES.address}", may_pass=True)


async def _speaks_plaintext(settings: KafkaAccess, host: str, port: int) -> bool:
    try:
        connection = await _connect(settings, host, port, security_protocol="PLAINTEXT")
    except (KafkaError, OSError):
        return False
    connection.close()
    return True


async def _fault_of_mechanism(settings: KafkaAccess, host: str, port: int) -> Fault:
    """Return the fault of a broker that has other mechanisms of SASL, and which those are."""
    mechanism = settings.kafka_sasl_mechanism
    try:
        connection = await _connect(settings, host, port, security_protocol=_PROTOCOLS[_has_tls(settings), False])
        answer = await connection.send(SaslHandShakeRequest(mechanism))
        connection.close()
        known = ", ".join(answer.enabled_mechanisms) or "none"
    except (KafkaError, OSError) as error:
        known = f"unknown ({error})"
    cause = f"{host}:{port} does not take the SASL mechanism {mechanism}; it takes: {known}"
    return Fault(cause, "set KAFKA_SASL_MECHANISM to one of them")


async def _fault_of_advertised(settings: KafkaAccess, number: int, host: str, port: int) -> Fault | None:
    """Return the fault of an address that a broker has told, and that clients must be able to reach."""
    cause: object
    try:
        (await _connect(settings, host, port)).close()
    except TimeoutError:
        cause = "no answer in time"
    except (KafkaError, OSError) as error:
        fault = fault_on_the_way(error, host, port, NAMES)
        cause = fault.cause if fault else error
    else:
        return None
    return Fault(
        f"it tells clients to find broker {number} at {host}:{port}, which cannot be reached from here: {cause}",
        "set the broker's advertised.listeners to an address that clients can reach, or start that broker",
        may_pass=True,
    )


def _fault_of_user(settings: KafkaAccess, error: SaslAuthenticationFailed | str) -> Fault:
    if settings.kafka_sasl_mechanism == "OAUTHBEARER":
        cause = f"it refuses the token in KAFKA_SASL_OAUTH_TOKEN_PATH: {error}"
        return Fault(cause, "write one that its issuer has signed and that has not expired into the file")
    cause = f"it refuses the user {settings.kafka_sasl_plain_username!r} by {settings.kafka_sasl_mechanism}: {error}"
    return Fault(cause, "correct KAFKA_SASL_PLAIN_USERNAME and KAFKA_SASL_PLAIN_PASSWORD")


def _fault_of_protocol(settings: KafkaAccess, cause: str, *, tls: bool, sasl: bool) -> Fault:
    wrong = settings.kafka_security_protocol
    return Fault(f"{cause}, KAFKA_SECURITY_PROTOCOL is {wrong}", f"set it to {_PROTOCOLS[tls, sasl]}")


def _has_tls(settings: KafkaAccess) -> bool:
    return settings.kafka_security_protocol.endswith("SSL")
