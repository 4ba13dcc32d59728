"""A real Kafka and a real Valkey (or Redis) as child processes, without Docker.

For tests, benchmarks and development; not for production.
"""

from devstack.errors import DevstackError
from devstack.kafka import Kafka
from devstack.ports import free_port
from devstack.redis import Redis
from devstack.stack import Devstack

__all__ = ["Devstack", "DevstackError", "Kafka", "Redis", "free_port"]
