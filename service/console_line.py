"""Log lines for people: when, how grave, what, and then the details as `name=value`.

Text from outside stays on its line and within its value: what cannot be printed, such as line breaks, terminal escapes
or signs that turn the direction of writing, is shown escaped. A traceback follows its line behind a margin.
"""

from collections.abc import Mapping
from typing import Any, Final

_MARGIN: Final = "    | "
_LEVEL_CHARACTERS: Final = len("critical")
_MILLISECONDS: Final = len("2020-10-01T01:00:00.000")
_SPECIAL: Final = frozenset(" \"'=")
_COLOURS: Final = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_PLAIN: Final = "\x1b[0m"


def console_line(event: Mapping[str, Any], *, has_colours: bool) -> str:
    """Return the line of an event, and below it the traceback if there is one; the gravest in colour if wanted."""
    details = dict(event)
    time = str(details.pop("timestamp"))[:_MILLISECONDS] + "Z"
    level = _level(str(details.pop("level")), has_colours=has_colours)
    what = _printable(str(details.pop("event")))
    traceback = str(details.pop("exception", "")).splitlines()
    line = " ".join([time, level, what, *(f"{_value(name)}={_value(value)}" for name, value in details.items())])
    return "\n".join([line, *(_MARGIN + _printable(text) for text in traceback)])


def _level(name: str, *, has_colours: bool) -> str:
    padded = name.ljust(_LEVEL_CHARACTERS)
    return f"{_COLOURS[name]}{padded}{_PLAIN}" if has_colours and name in _COLOURS else padded


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)


def _value(value: object) -> str:
    text = str(value)
    return repr(text) if not text or _SPECIAL.intersection(text) else _printable(text)
