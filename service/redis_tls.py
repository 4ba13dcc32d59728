"""TLS to Redis: what the options of REDIS_URL say, checked before anything connects."""

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from operator_status.kafka_tls import faults_of_files

AUTHORITY: Final = "ssl_ca_certs"
CERTIFICATE: Final = "ssl_certfile"
KEY: Final = "ssl_keyfile"
PASSWORD: Final = "ssl_password"  # noqa: S105 - the name of an option
REQUIREMENT: Final = "ssl_cert_reqs"
CHECK_HOSTNAME: Final = "ssl_check_hostname"
TLS_OPTIONS: Final = frozenset({AUTHORITY, CERTIFICATE, CHECK_HOSTNAME, KEY, PASSWORD, REQUIREMENT})

_FILES: Final = (AUTHORITY, CERTIFICATE, KEY)
# Which values an option takes; the client takes any other word for true, or fails when it connects.
_CHOICES: Final = {
    REQUIREMENT: ("none", "optional", "required"),
    CHECK_HOSTNAME: ("true", "false"),
}


def faults_of_tls(options: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each option of the URL that cannot be used; never with a password in it."""
    for name, choices in _CHOICES.items():
        if name in options and options[name].lower() not in choices:
            yield f"{name} must be one of {', '.join(choices)}"
    files = {name: Path(options[name]) for name in _FILES if options.get(name)}
    unreadable = faults_of_files(files)
    yield from unreadable
    if KEY in files and CERTIFICATE not in files:
        yield f"{KEY} needs {CERTIFICATE}, the certificate that it is the key of"
    elif not unreadable:
        yield from _faults_of_content(files, options.get(PASSWORD, ""))


def _faults_of_content(files: Mapping[str, Path], password: str) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if AUTHORITY in files:
        try:
            context.load_verify_locations(files[AUTHORITY])
        except (OSError, ssl.SSLError):
            yield f"{AUTHORITY}: {str(files[AUTHORITY])!r} holds no certificates"
    if CERTIFICATE in files:
        try:
            # Without a password the library would ask for one at the terminal.
            context.load_cert_chain(files[CERTIFICATE], files.get(KEY), password)
        except (OSError, ssl.SSLError):
            yield f"{CERTIFICATE}, {KEY}, {PASSWORD}: these are no certificate and its key, or the password is another"
