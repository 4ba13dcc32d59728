"""Metrics of the projector, for Prometheus."""

from collections import Counter as Counts
from collections.abc import Iterable, Mapping
from math import nan
from time import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from projector.fold.batch import Batch
from projector.store.ledger import Ledger
from schemas.decode import Reason
from schemas.diagnosis.causes import UNFINISHED_CODES
from schemas.redis_layout import HOLD_CODES
from service.task_count import count_tasks
from service.version import __version__


class EvictedKeys(Collector):
    """A counter that Redis keeps: it begins at 0 again with Redis, which Prometheus takes for the restart it is."""

    def __init__(self) -> None:
        self.keys = 0

    def collect(self) -> Iterable[Metric]:
        """Yield what was last seen."""
        yield CounterMetricFamily(
            "projector_redis_evicted_keys", "Keys that Redis has dropped for want of memory.", value=self.keys
        )


class Metrics:
    """Counters and gauges in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # When the first event that waits was recorded, by partition, Unix time in milliseconds.
        self._waiting_since: dict[str, int] = {}
        count_tasks(self.registry)
        self.records = Counter(
            "projector_records_total", "Records applied, by partition.", ["partition"], registry=self.registry
        )
        self.dead_letters = Counter(
            "projector_dead_letters_total", "Records refused, by reason.", ["reason"], registry=self.registry
        )
        changed = "Jobs that a batch changed."
        self.jobs_changed = Counter("projector_jobs_changed_total", changed, registry=self.registry)
        self.jobs_collected = Counter(
            "projector_jobs_collected_total",
            "Jobs that left the projection, without news since the cutoff.",
            registry=self.registry,
        )
        self.recoveries = Counter(
            "projector_recoveries_total",
            "Times the position was read again, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.batch_records = Histogram(
            "projector_batch_records",
            "Records in a batch.",
            buckets=(1, 10, 100, 1_000, 4_000),
            registry=self.registry,
        )
        self.apply_seconds = Histogram(
            "projector_apply_seconds",
            "Time from handing a batch to Redis to its answer.",
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
            registry=self.registry,
        )
        self._count_positions()
        self._count_jobs()
        self._tell_what_runs()

    def _count_positions(self) -> None:
        self.position = Gauge("projector_position", "Next offset, by partition.", ["partition"], registry=self.registry)
        self.lag = Gauge(
            "projector_lag_events",
            "Offsets of the log that are not applied, by partition.",
            ["partition"],
            registry=self.registry,
        )
        self._lag_seconds = Gauge(
            "projector_lag_seconds",
            "Age of the oldest event that is not applied, by partition; NaN when it is unknown.",
            ["partition"],
            registry=self.registry,
        )
        self.ledger = Gauge(
            "projector_ledger_offsets",
            "What became of the offsets below the position, by partition and kind.",
            ["partition", "kind"],
            registry=self.registry,
        )
        self._held = Gauge(
            "projector_held_partitions", "Partitions that wait, by why they do.", ["code"], registry=self.registry
        )
        self.show_held(())
        self.blocked = Gauge(
            "projector_blocked_partitions",
            "Partitions that wait behind a transaction that is open.",
            registry=self.registry,
        )
        may_lose = "1 while the topic's settings let Kafka remove events of the log."
        self.log_not_kept = Gauge("projector_log_not_kept", may_lose, registry=self.registry)
        self.evicted_keys = EvictedKeys()
        self.registry.register(self.evicted_keys)

    def _count_jobs(self) -> None:
        self._unfinished = Gauge(
            "projector_unfinished_jobs", "Jobs that have not finished, as counted last.", [], registry=self.registry
        )
        self._diagnosed = Gauge(
            "projector_diagnosed_jobs",
            "Jobs that have not finished, by the code of why they are where they are; one may count for several codes.",
            ["code"],
            registry=self.registry,
        )
        self.forget_jobs()

    def show_jobs(self, unfinished: int, codes: Mapping[str, int]) -> None:
        """Show how many jobs have not finished, and how many of them each code holds of."""
        self._unfinished.set(unfinished)
        for code in UNFINISHED_CODES:
            self._diagnosed.labels(code).set(codes.get(code, 0))

    def forget_jobs(self) -> None:
        """Show that it is not known here how many jobs there are, until it is shown again."""
        self._unfinished.set(nan)
        for code in UNFINISHED_CODES:
            self._diagnosed.labels(code).set(nan)

    def _tell_what_runs(self) -> None:
        Info("projector_build", "What runs.", registry=self.registry).info({"version": __version__})
        self.confirmed = Gauge(
            "projector_heartbeat_timestamp_seconds",
            "When this projector last confirmed its positions and the log's ends, Unix time.",
            registry=self.registry,
        )
        self._visible = Histogram(
            "projector_visible_seconds",
            "Time from the recording of the oldest event of a batch, by partition, to its being visible.",
            buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 1_000, 10_000),
            registry=self.registry,
        )
        for reason in Reason:
            self.dead_letters.labels(reason.value)  # at 0, so that a first one is seen as an increase

    def show_held(self, codes: Iterable[str]) -> None:
        """Show how many partitions are held, from the code of each."""
        counts = Counts(codes)
        for code in HOLD_CODES:
            self._held.labels(code).set(counts[code])

    def show(self, name: str, account: Ledger) -> None:
        """Show the ledger of a partition; `unaccounted` is anything but 0 only when offsets were skipped."""
        kinds = {
            "applied": account.applied,
            "known": account.known,
            "dead-lettered": account.dead_lettered,
            "no-record": account.no_record,
            "unaccounted": account.unaccounted,
        }
        for kind, offsets in kinds.items():
            self.ledger.labels(name, kind).set(offsets)

    def show_lag(self, name: str, events: int | None) -> None:
        """Show how many events of a partition wait, None when that is unknown, and since when."""
        self.lag.labels(name).set(nan if events is None else events)
        if events == 0:
            self._waiting_since.pop(name, None)
        since = self._waiting_since.get(name) if events else None
        age = nan if since is None else max(0.0, time() - since / 1000)
        self._lag_seconds.labels(name).set(0 if events == 0 else age)

    def forget_lags(self) -> None:
        """Show no lag any more, until it is shown again."""
        self.lag.clear()
        self._lag_seconds.clear()

    def begin(self, batch: Batch) -> None:
        """Note since when the events of a batch wait, where no earlier ones do."""
        for span in batch.spans:
            if span.oldest_milliseconds is not None and span.oldest_milliseconds >= 0:
                self._waiting_since.setdefault(span.partition, span.oldest_milliseconds)

    def count(self, batch: Batch, jobs_changed: int) -> None:
        """Count a batch that was applied."""
        self.batch_records.observe(batch.records)
        self.jobs_changed.inc(jobs_changed)
        for span in batch.spans:
            self._waiting_since.pop(span.partition, None)
            self.records.labels(span.partition).inc(span.records)
            if span.oldest_milliseconds is not None and span.oldest_milliseconds >= 0:  # -1: Kafka has not said it
                self._visible.observe(max(0.0, time() - span.oldest_milliseconds / 1000))
        for refused in batch.refused:
            self.dead_letters.labels(refused.reason.value).inc()
