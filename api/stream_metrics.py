"""What is counted of streams, for Prometheus."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# How streams end, and why they begin again: what can be counted before it has happened is there with 0.
ENDINGS: Final = ("end", "drain", "slow", "expired", "limit", "left")
RESETS: Final = (
    "unknown-id",
    "other-generation",
    "other-incarnation",
    "trimmed",
    "ahead",
    "set-back",
    "catching-up",
    "interrupted",
)
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600)


class StreamMetrics:
    """The measurements of the streams of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._open = Gauge("api_streams_open", "Streams now.", registry=registry, multiprocess_mode="livesum")
        self._told = Counter("api_stream_events", "Jobs told to streams: changed or gone.", registry=registry)
        ended = Counter("api_streams_ended", "Streams that ended, by how.", ("how",), registry=registry)
        self._ended = {how: ended.labels(how) for how in ENDINGS}
        resets = Counter("api_stream_resets", "Streams that began again, by why.", ("reason",), registry=registry)
        self._resets = {reason: resets.labels(reason) for reason in RESETS}
        self._age = Gauge(
            "api_feed_age_seconds",
            "Since the last entry of any feed, when it was followed last.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._delay = Histogram(
            "api_stream_recorded_to_sent_seconds",
            "From the recording of the newest report of a frame in Kafka to its being sent; 0 when clocks differ.",
            buckets=_SECONDS,
            registry=registry,
        )

    @contextmanager
    def open(self) -> Iterator[None]:
        """Count a stream while the block lasts."""
        self._open.inc()
        try:
            yield
        finally:
            self._open.dec()

    def told(self, jobs: int) -> None:
        """Count what one stream was told."""
        self._told.inc(jobs)

    def ended(self, how: str) -> None:
        """Count a stream that ended."""
        self._ended[how].inc()

    def reset(self, reason: str) -> None:
        """Count a stream that began again."""
        self._resets[reason].inc()

    def feed_age(self, seconds: float) -> None:
        """Note how old the last entry of all feeds is."""
        self._age.set(seconds)

    def sent(self, seconds: float) -> None:
        """Note how long after its newest report was recorded a frame was sent; less than nothing is a wrong clock."""
        self._delay.observe(max(0.0, seconds))
