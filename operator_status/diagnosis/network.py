"""Faults of the way to a server that are the same for every service: name, address, port, TLS."""

import asyncio
import errno
import socket
import ssl
from contextlib import suppress
from typing import Final, NamedTuple

from operator_status.diagnosis.fault import STEP_SECONDS, Fault, causes

_NO_WAY: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
# How TLS libraries say that the server wants a certificate, or does not take the one it was shown.
_CERTIFICATE_ALERTS: Final = (
    "BAD_CERTIFICATE",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REQUIRED",
    "CERTIFICATE_UNKNOWN",
    "HANDSHAKE_FAILURE",
    "UNKNOWN_CA",
    "UNSUPPORTED_CERTIFICATE",
)


class Names(NamedTuple):
    """How an operator calls what a remedy is about."""

    address: str
    authority: str
    certificate: str


def fault_on_the_way(error: BaseException, host: str, port: int, names: Names) -> Fault | None:
    """Return what an error says of name, address, port or certificate; None when it says nothing of them."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _fault_of_certificate(cause, host, port, names)
        if isinstance(cause, ssl.SSLError) and any(alert in str(cause) for alert in _CERTIFICATE_ALERTS):
            text = f"{host}:{port} wants a certificate of this client, and does not accept what it was shown: {cause}"
            return Fault(text, f"set {names.certificate} to one that its authority has signed")
        if isinstance(cause, socket.gaierror):
            return Fault(f"the host name {host} is not known: {cause}", f"correct {names.address}", may_pass=True)
        if isinstance(cause, ConnectionRefusedError):
            return Fault(f"nobody listens on {host}:{port}", start_it(names), may_pass=True)
        if isinstance(cause, OSError) and cause.errno in _NO_WAY:
            return Fault(f"there is no way to {host}:{port}: {cause}", _look_at(names), may_pass=True)
    return None


def silent(host: str, port: int, names: Names) -> Fault:
    """Return the fault of an address from which no answer comes."""
    return Fault(f"no answer from {host}:{port} in time", _look_at(names), may_pass=True)


def start_it(names: Names) -> str:
    """Return what to do about a service that is not there."""
    return f"start it, or set {names.address}"


async def speaks_tls(host: str, port: int) -> bool:
    """Tell whether a server speaks TLS, whoever it is and whatever it thinks of us."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError):
        async with asyncio.timeout(STEP_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
            writer.transport.abort()
            return True
    return False


def _look_at(names: Names) -> str:
    return f"look at firewalls and at the server, or correct {names.address}"


def _fault_of_certificate(error: ssl.SSLCertVerificationError, host: str, port: int, names: Names) -> Fault:
    text = f"the certificate of {host}:{port} is not valid: {error.verify_message or error}"
    # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
    if error.verify_code in {62, 64}:
        return Fault(text, f"name the server in {names.address} as its certificate does, or give it another one")
    # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
    if error.verify_code in {9, 10}:
        return Fault(text, "renew the server's certificate, or set this machine's clock right")
    return Fault(text, f"set {names.authority} to the certificate of the authority that has signed it")
