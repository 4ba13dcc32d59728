"""What the environment says: values by name, or files that hold them (`NAME_FILE=/run/secrets/name`)."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

_FILE_SUFFIX: Final = "_FILE"
# Kubernetes gives every container `<SERVICE>_PORT=tcp://10.96.7.3:8080` for each service beside it.
_PORT_SUFFIX: Final = "_PORT"
_SERVICE_LINK: Final = re.compile(r"(tcp|udp|sctp)://\S+:[0-9]{1,5}")


def is_service_link(name: str, value: str | None) -> bool:
    """Tell whether a variable is one that Kubernetes sets for a service of its name, and no setting of ours."""
    return name.endswith(_PORT_SUFFIX) and _SERVICE_LINK.fullmatch(value or "") is not None


def given_by(fields: Iterable[str], environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
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
