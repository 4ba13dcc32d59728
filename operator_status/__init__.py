"""Report the progress of a compute job: what a worker installs.

    from operator_status import JobReporter

    with JobReporter(owner="0x1111", agreement_id="0x2222", job_id="3333") as job:
        job.running()

What is here is loaded when it is asked for, so that a job begins at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from operator_status.errors import (
        InvalidEventError,
        KafkaAwayError,
        KafkaUnusableError,
        NotOpenError,
        QueueFullError,
        RefusedByKafkaError,
        ReportError,
        SettingsError,
        TopicMissingError,
        UndeliveredError,
    )
    from operator_status.job import Acknowledgement, HandedOver, Job
    from operator_status.reporting.job_reporter import JobReporter
    from operator_status.reporting.reporter import Reporter
    from operator_status.settings import KafkaSettings

__all__ = [
    "Acknowledgement",
    "HandedOver",
    "InvalidEventError",
    "Job",
    "JobReporter",
    "KafkaAwayError",
    "KafkaSettings",
    "KafkaUnusableError",
    "NotOpenError",
    "QueueFullError",
    "RefusedByKafkaError",
    "ReportError",
    "Reporter",
    "SettingsError",
    "TopicMissingError",
    "UndeliveredError",
]

_MODULES = {
    "Acknowledgement": "job",
    "HandedOver": "job",
    "Job": "job",
    "JobReporter": "reporting.job_reporter",
    "KafkaSettings": "settings",
    "Reporter": "reporting.reporter",
}


def __getattr__(name: str) -> Any:
    """Load one of the names above."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"operator_status.{_MODULES.get(name, 'errors')}"), name)
