"""The names of what can be harmed."""

from typing import Final

PROJECTORS: Final = ("projector-1", "projector-2")
API: Final = "api"
KAFKA: Final = "kafka"
REDIS: Final = "redis"
LINKS: Final = (
    "projector-1 to kafka",
    "projector-2 to kafka",
    "projector-1 to redis",
    "projector-2 to redis",
    "api to redis",
    "replica to redis",
)
