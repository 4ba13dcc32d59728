"""The URL of Redis: what it may say, and how it is shown without its password."""

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from service.redis_tls import TLS_OPTIONS, faults_of_tls

SCHEMES: Final = (
    "redis://",
    "rediss://",
    "redis+cluster://",
    "rediss+cluster://",
    "redis+sentinel://",
    "rediss+sentinel://",
)
# What may follow a `?`, beside TLS_OPTIONS; anything else would change how the client behaves, behind the code's back.
PROTOCOL_OPTION: Final = "protocol"
PROTOCOLS: Final = frozenset({"2", "3"})
# The sentinels' own user; the one before the @ is that of the primary.
SENTINEL_USER: Final = "sentinel_username"
SENTINEL_PASSWORD: Final = "sentinel_password"  # noqa: S105 - the name of an option
SENTINEL_OPTIONS: Final = frozenset({SENTINEL_USER, SENTINEL_PASSWORD})
DEFAULT_PORT: Final = 6379
DEFAULT_SENTINEL_PORT: Final = 26379

_TLS: Final = "rediss"
_SENTINEL: Final = ("redis+sentinel://", "rediss+sentinel://")
_CLUSTER: Final = ("redis+cluster://", "rediss+cluster://")
_ONLY_DATABASE: Final = frozenset({"", "/", "/0"})
_NAME_AND_NUMBER: Final = re.compile("/[^/]+(/[0-9]*)?")  # the primary's name, the number of a database
_PATH: Final = re.compile("(/[0-9]*)?")  # the number of a database


def fault_of(url: str) -> str | None:
    """Return what is wrong with the URL without quoting it, for it may hold a password; None when nothing is."""
    if not url.startswith(SCHEMES):
        return "must start with " + ", ".join(SCHEMES)
    is_behind_sentinels = url.startswith(_SENTINEL)
    if is_behind_sentinels and not _names_sentinels(url):
        return "must be scheme://user:password@host:port,host:port/primary/number, with the name that sentinels know"
    if not is_behind_sentinels and not _is_readable(url):
        return "must be scheme://user:password@host:port/number, with / ? # in a password written as %2F %3F %23"
    if url.startswith(_CLUSTER) and urlsplit(url).path not in _ONLY_DATABASE:
        return "names a cluster, which has one database: no number at its end"
    return _fault_of_options(url, SENTINEL_OPTIONS if is_behind_sentinels else frozenset())


def _fault_of_options(url: str, others: frozenset[str]) -> str | None:
    known = {PROTOCOL_OPTION} | others | (TLS_OPTIONS if url.startswith(_TLS) else frozenset())
    options = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    if not known.issuperset(name for name, _ in options):
        return (
            f"can have no options but {PROTOCOL_OPTION}, for sentinels {', '.join(sorted(SENTINEL_OPTIONS))}, and for "
            f"{_TLS}:// {', '.join(sorted(TLS_OPTIONS))}"
        )
    if not PROTOCOLS.issuperset(value for name, value in options if name == PROTOCOL_OPTION):
        return f"{PROTOCOL_OPTION} must be " + " or ".join(sorted(PROTOCOLS))
    return "; ".join(faults_of_tls(dict(options))) or None


def address_in(url: str) -> str:
    """Return host and port, or those of all sentinels or nodes, without credentials, of a URL that has no fault."""
    return ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in _endpoints(url))


def endpoint_in(url: str) -> tuple[str, int]:
    """Return host and port, or those of the first sentinel or node, of a URL that has no fault."""
    return _endpoints(url)[0]


def servers_in(url: str) -> list[tuple[str, int]]:
    """Return host and port of each sentinel, or of each node of a cluster; ValueError when one cannot be read."""
    port = DEFAULT_SENTINEL_PORT if url.startswith(_SENTINEL) else DEFAULT_PORT
    servers = urlsplit(url).netloc.rpartition("@")[2].split(",")
    return [_endpoint(urlsplit(f"//{server.strip()}"), port) for server in servers]


def _endpoints(url: str) -> list[tuple[str, int]]:
    is_list = url.startswith((*_SENTINEL, *_CLUSTER))
    return servers_in(url) if is_list else [_endpoint(urlsplit(url), DEFAULT_PORT)]


def _endpoint(parts: SplitResult, port: int) -> tuple[str, int]:
    if parts.port == 0:
        raise ValueError
    return parts.hostname or "", parts.port or port


def has_tls(url: str) -> bool:
    """Tell whether a URL wants TLS."""
    return url.startswith(_TLS)


def _is_readable(url: str) -> bool:
    try:
        return all(host for host, _ in _endpoints(url)) and _PATH.fullmatch(urlsplit(url).path) is not None
    except ValueError:  # the port is not one, or a bracket is missing
        return False


def _names_sentinels(url: str) -> bool:
    try:
        is_named = _NAME_AND_NUMBER.fullmatch(urlsplit(url).path) is not None
        return is_named and all(host for host, _ in servers_in(url))
    except ValueError:
        return False
