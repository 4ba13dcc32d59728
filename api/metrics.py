"""What the API counts, for Prometheus."""

import os
from collections.abc import Collection
from math import nan
from time import monotonic
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.multiprocess import MultiProcessCollector

from api.stream_metrics import StreamMetrics
from schemas.redis_layout import TOLD_CODES
from service.task_count import count_tasks
from service.version import __version__

MULTIPROCESS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"

_SHOW_AGAIN_SECONDS: Final = 1.0
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
# The limits that clients can meet.
LIMITS: Final = (
    "unfinished bytes",
    "least rate",
    "connections",
    "room for others",
    "half request",
    "page bytes",
    "page search",
    "page wait",
)
_QUERIES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)


class Metrics:
    """The measurements of one process, or of all workers together when there are several."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        self.registry = own
        if MULTIPROCESS_VARIABLE in os.environ:
            self.registry = CollectorRegistry()
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=own)
            count_tasks(own)
        # Beside what the workers share, for it is the same in each of them.
        Info("api_build", "What runs.", registry=self.registry).info({"version": __version__})
        self._requests = Histogram(
            "api_request_seconds", "Time to answer.", ("route", "status"), buckets=_SECONDS, registry=own
        )
        self._queries = Histogram(
            "api_queries_per_round_trip", "Lookups that shared one call to Redis.", buckets=_QUERIES, registry=own
        )
        self._errors = Counter("api_redis_errors", "Calls to Redis that failed.", ("reason",), registry=own)
        self._damaged = Counter(
            "api_damaged_jobs", "Jobs that no answer could show, for they are damaged.", registry=own
        )
        self._lag = Gauge(
            "api_projection_lag_events",
            "Events known to be in the log and not yet applied, as last seen; NaN when unknown.",
            registry=own,
            multiprocess_mode="mostrecent",
        )
        self._held = Gauge(
            "api_projection_held",
            "1 while a part of the log does not go on, by why.",
            ("code",),
            registry=own,
            multiprocess_mode="mostrecent",
        )
        self._unfinished = Gauge(
            "api_unfinished_bytes",
            "Bytes of long answers that were made and not yet taken by their clients.",
            registry=own,
            multiprocess_mode="livesum",
        )
        self.streams = StreamMetrics(own)
        met = Counter("api_limits_met", "Clients that met a limit.", ("limit",), registry=own)
        self._met = {limit: met.labels(limit) for limit in LIMITS}
        self._children: dict[tuple[str, int], Histogram] = {}
        self._shown: tuple[int | None, Collection[str]] = (0, ())
        self._shown_at = 0.0
        self.unknown()

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        child = self._children.get((route, status))
        if child is None:
            child = self._children[route, status] = self._requests.labels(route, str(status))
        child.observe(seconds)

    def round_trip(self, lookups: int) -> None:
        """Count a call to Redis that was answered."""
        self._queries.observe(lookups)

    def redis_error(self, reason: str) -> None:
        """Count a call to Redis that failed."""
        self._errors.labels(reason).inc()

    def limit_met(self, limit: str) -> None:
        """Count a client that met a limit."""
        self._met[limit].inc()

    def unfinished(self, size: int) -> None:
        """Note how many bytes of long answers are unfinished."""
        self._unfinished.set(size)

    def unknown(self) -> None:
        """Note that nobody knows how far the projection is behind."""
        self.fresh(None, ())

    def fresh(self, lag: int | None, held: Collection[str]) -> None:
        """Note how far the projection was behind, None when that is unknown, and the codes of what does not go on."""
        now = monotonic()
        # Of several processes the one that wrote last counts, so what stays the same is written again and again too.
        if (lag, held) == self._shown and now - self._shown_at < _SHOW_AGAIN_SECONDS:
            return
        self._shown, self._shown_at = (lag, held), now
        self._lag.set(nan if lag is None else lag)
        for code in TOLD_CODES:
            self._held.labels(code).set(code in held)

    def damaged_job(self) -> None:
        """Count a job that was left out of an answer because it is damaged."""
        self._damaged.inc()
