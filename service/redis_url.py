"""The URL of Redis: what it may say, and how it is shown without its password."""

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

SCHEMES: Final = ("redis://", "rediss://", "redis+cluster://", "rediss+cluster://")
# What may follow a `?`; anything else would change how the client behaves, behind the back of the code.
TLS_OPTIONS: Final = frozenset({"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"})
PROTOCOL_OPTION: Final = "protocol"
PROTOCOLS: Final = frozenset({"2", "3"})
DEFAULT_PORT: Final = 6379

_TLS: Final = "rediss"
_PATH: Final = re.compile("(/[0-9]*)?")  # the number of a database


def fault_of(url: str) -> str | None:
    """Return what is wrong with the URL without quoting it, for it may hold a password; None when nothing is."""
    if not url.startswith(SCHEMES):
        return "must start with " + ", ".join(SCHEMES)
    if not _is_readable(url):
        return "must be scheme://user:password@host:port/number, with / ? # in a password written as %2F %3F %23"
    known = {PROTOCOL_OPTION} | (TLS_OPTIONS if url.startswith(_TLS) else frozenset())
    options = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    if not known.issuperset(name for name, _ in options):
        return f"can have no options but {PROTOCOL_OPTION} and, for {_TLS}://, " + ", ".join(sorted(TLS_OPTIONS))
    if not PROTOCOLS.issuperset(value for name, value in options if name == PROTOCOL_OPTION):
        return f"{PROTOCOL_OPTION} must be " + " or ".join(sorted(PROTOCOLS))
    return None


def address_in(url: str) -> str:
    """Return host and port, without credentials, of a URL that has no fault."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or DEFAULT_PORT}"


def endpoint_in(url: str) -> tuple[str, int]:
    """Return host and port of a URL that has no fault."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or DEFAULT_PORT


def has_tls(url: str) -> bool:
    """Tell whether a URL wants TLS."""
    return url.startswith(_TLS)


def _is_readable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and _PATH.fullmatch(parts.path) is not None
    except ValueError:  # the port is not one, or a bracket is missing
        return False
