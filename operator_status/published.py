"""The published schema of events, as data: which stages and fields there are, and whether a value may be sent."""

import json
import pkgutil
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

SCHEMA: Final[Mapping[str, Any]] = json.loads(pkgutil.get_data("operator_status", "job-event.json") or b"{}")

_ENVELOPE: Final = SCHEMA["properties"]
_TYPES: Final = _ENVELOPE["type"]["enum"]
SPEC_VERSION: Final = _ENVELOPE["specversion"]["const"]
TYPE_OF_STAGE: Final[Mapping[str, str]] = {text.rpartition(".")[2]: text for text in _TYPES}
STAGES: Final = tuple(TYPE_OF_STAGE)  # in the order in which a job passes them
FINISHED: Final = STAGES[-1]

_FINISHED_ONLY: Final[Mapping[str, Any]] = SCHEMA["allOf"][0]["then"]["properties"]["data"]["properties"]
FINISHED_DETAILS: Final = tuple(_FINISHED_ONLY)
IDENTITY: Final = (*_ENVELOPE["data"]["required"], "attempt")
# The rule of each field that a worker sets, in the order in which its faults are told.
RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "source": _ENVELOPE["source"],
    **_ENVELOPE["data"]["properties"],
    **_FINISHED_ONLY,
    "time": _ENVELOPE["time"],
}
DETAILS: Final = tuple(name for name in RULES if name not in {"source", "time", *IDENTITY})
OUTCOMES: Final = tuple(value for value in _FINISHED_ONLY["outcome"]["enum"] if value)


def is_valid(name: str, value: Any) -> bool:
    """Tell whether the schema takes a value for a field."""
    return meets(RULES[name], value)


def meets(rule: Mapping[str, Any], value: Any) -> bool:
    """Tell whether a value meets a rule of the schema: of its keywords those that rules of fields use."""
    if "enum" in rule:
        return value in rule["enum"]
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    if isinstance(value, str):
        return "string" in kinds and _has_length(rule, value, "Length") and _is_text(rule.get("pattern"), value)
    if isinstance(value, list | tuple):
        items = rule.get("items", {})
        return "array" in kinds and _has_length(rule, value, "Items") and all(meets(items, item) for item in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value is None and "null" in kinds
    return "integer" in kinds and value == value // 1 and rule["minimum"] <= value <= rule["maximum"]


def _has_length(rule: Mapping[str, Any], value: Any, unit: str) -> bool:
    return bool(rule.get(f"min{unit}", 0) <= len(value) <= rule.get(f"max{unit}", len(value)))


def _is_text(pattern: str | None, value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return pattern is None or _compiled(pattern).fullmatch(value) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
