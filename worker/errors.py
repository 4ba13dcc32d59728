"""What can go wrong when a job's progress is reported; each class's docstring is its message.

`retriable` tells whether the same report may succeed later. All are CommandErrors, so a command that meets one ends
with its text and its exit code.
"""

from collections.abc import Sequence
from typing import ClassVar

from service.errors import CommandError, ServiceUnavailableError


class ReportError(CommandError):
    """A report was not delivered."""

    retriable: ClassVar[bool] = False

    def __init__(self, **facts: object) -> None:
        """Fill the message's blanks."""
        super().__init__(" ".join((type(self).__doc__ or "").split()).format_map(facts))


class InvalidEventError(ReportError):
    """The report is not a job event; `faults` has one sentence for each field that is wrong."""

    exit_code = 2

    def __init__(self, faults: Sequence[str]) -> None:
        """Keep the sentences; they never quote a value."""
        CommandError.__init__(self, "\n".join(faults))
        self.faults = tuple(faults)


class RefusedByKafkaError(ReportError):
    """Kafka refused the report {report}: {reason}."""


class NotOpenError(ReportError):
    """The report {report} came before `async with` or after its end: report inside of it."""


class KafkaUnusableError(ReportError, ServiceUnavailableError):
    """{cause}: {remedy}."""

    retriable = True


class KafkaAwayError(ReportError, ServiceUnavailableError):
    """Kafka at {address} has not acknowledged {report} within {limit_seconds:g} s{cause}."""

    retriable = True


class TopicMissingError(ReportError, ServiceUnavailableError):
    """Kafka at {address} has no topic {topic}, or does not show it to this user: create it with
    `python -m projector topics create`.
    """  # noqa: D205 - all of it is the message

    retriable = True


class QueueFullError(ReportError, ServiceUnavailableError):
    """The report {report} was not queued: {limit} reports wait already, because Kafka at {address} does not take
    them{cause}.
    """  # noqa: D205 - all of it is the message

    retriable = True


class UndeliveredError(ReportError, ServiceUnavailableError):
    """Kafka at {address} has not acknowledged within {limit_seconds:g} s{cause}: {reports}."""

    retriable = True
