"""What compute workers use: report a job's progress, simulate jobs, watch jobs."""

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
