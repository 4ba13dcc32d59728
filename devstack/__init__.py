"""A real Kafka and a real Valkey (or Redis) as child processes, without Docker.

For tests, benchmarks and development; not for production. What is here is loaded when it is asked for, so that
`python -m devstack` begins at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devstack.errors import DevstackError
    from devstack.kafka import Kafka
    from devstack.ports import free_port
    from devstack.redis import Redis
    from devstack.stack import Devstack

__all__ = ["Devstack", "DevstackError", "Kafka", "Redis", "free_port"]

_MODULES = {"Devstack": "stack", "DevstackError": "errors", "Kafka": "kafka", "Redis": "redis", "free_port": "ports"}


def __getattr__(name: str) -> Any:
    """Load one of the names above."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"devstack.{_MODULES[name]}"), name)
