"""What compute workers use: report a job's progress, simulate jobs, watch jobs.

What is here is loaded when it is asked for, so that a command of this package begins at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.errors import (
        InvalidEventError,
        KafkaAwayError,
        NotOpenError,
        QueueFullError,
        RefusedByKafkaError,
        ReportError,
        TopicMissingError,
        UndeliveredError,
    )
    from worker.job import Job
    from worker.outbox import Acknowledgement
    from worker.reporter import JobReporter, Reporter

__all__ = [
    "Acknowledgement",
    "InvalidEventError",
    "Job",
    "JobReporter",
    "KafkaAwayError",
    "NotOpenError",
    "QueueFullError",
    "RefusedByKafkaError",
    "ReportError",
    "Reporter",
    "TopicMissingError",
    "UndeliveredError",
]

_MODULES = {"Acknowledgement": "outbox", "Job": "job", "JobReporter": "reporter", "Reporter": "reporter"}


def __getattr__(name: str) -> Any:
    """Load one of the names above."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"worker.{_MODULES.get(name, 'errors')}"), name)
