"""What can go wrong when a job's progress is reported; the docstring of a ReportError is its message.

Each is a CommandError, so a command that meets one ends with its text and its exit code. `retriable` tells whether the
same report may succeed later.
"""

from collections.abc import Sequence
from typing import ClassVar


class CommandError(Exception):
    """A command cannot go on; the text says what to do about it."""

    exit_code: ClassVar[int] = 1


class SettingsError(CommandError):
    """Settings are missing or wrong; `faults` has one sentence for each, all found at once."""

    exit_code = 2

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class ServiceUnavailableError(CommandError):
    """A service that is needed could not be reached in time, or cannot be used as it is."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: whoever runs the process starts it again


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
    """The report {report} came before `with` or after its end: report inside of it."""


class KafkaUnusableError(ReportError, ServiceUnavailableError):
    """{sentence}"""  # noqa: D400, D415 - the sentence has its own end

    retriable = True

    def __init__(self, sentence: str, *, may_pass: bool) -> None:
        """Tell the cause, and whether it may pass by itself."""
        super().__init__(sentence=sentence)
        self.may_pass = may_pass


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
