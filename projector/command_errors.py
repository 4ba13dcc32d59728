"""Errors of commands: sentences with an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaError

from projector.errors import DeadLetterError, ProjectorError, StoreUnavailableError
from projector.settings import ProjectorSettings
from service.errors import CommandError, ServiceUnavailableError
from service.kafka import unreachable as kafka_unreachable
from service.redis import unreachable as redis_unreachable


@contextmanager
def as_command_errors(settings: ProjectorSettings) -> Iterator[None]:
    """Turn what can happen to a command into a CommandError, whose text says what to do."""
    try:
        yield
    except StoreUnavailableError as error:
        raise ServiceUnavailableError(redis_unreachable(settings, error)) from error
    except DeadLetterError as error:
        raise ServiceUnavailableError(str(error)) from error
    except ProjectorError as error:
        raise CommandError(str(error) or type(error).__doc__) from error
    except KafkaError as error:
        raise ServiceUnavailableError(kafka_unreachable(settings, error)) from error
