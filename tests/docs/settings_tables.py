"""The tables of docs/settings.md, made from the settings; `python -m tests.docs.settings_tables` prints them."""

import sys

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from api.settings import ApiSettings
from projector.settings import ProjectorSettings
from service.settings import KafkaSettings, RedisSettings, Settings
from worker.watching.settings import WatchSettings

SECTIONS = {
    "Every process": (Settings, ()),
    "Kafka": (KafkaSettings, (Settings,)),
    "Redis": (RedisSettings, (Settings,)),
    "Projector": (ProjectorSettings, (KafkaSettings, RedisSettings)),
    "API": (ApiSettings, (RedisSettings,)),
    "Watcher": (WatchSettings, (Settings,)),
}


def tables() -> str:
    """Return a table for each section; a setting stands where it first appears."""
    return "\n".join(_section(title, settings, bases) for title, (settings, bases) in SECTIONS.items())


def row(name: str, field: FieldInfo) -> str:
    """Return the line of one setting."""
    return f"| `{name.upper()}` | {_default(field.default)} | {field.description} |".replace("|  |", "| |")


def _section(title: str, settings: type[Settings], bases: tuple[type[Settings], ...]) -> str:
    inherited = {name for base in bases for name in base.model_fields}
    rows = [row(name, field) for name, field in settings.model_fields.items() if name not in inherited]
    return "\n".join([f"## {title}\n", "| name | default | meaning |", "|---|---|---|", *rows, ""])


def _default(value: object) -> str:
    if value in {None, PydanticUndefined}:
        return ""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.stdout.write(tables())
