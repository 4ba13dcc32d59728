"""What the projector's metrics tell."""

from collections.abc import Callable
from time import time

import pytest
from prometheus_client import generate_latest

from projector.fold.batch import Batch, Span
from projector.fold.batches import Stretch, batches
from projector.metrics import Metrics
from schemas.decode import Reason
from service.version import __version__
from tests.support.events import event, record


def test_it_tells_what_runs() -> None:
    """The version is a label, as Prometheus' own exporters have it."""
    registry = Metrics().registry
    assert registry.get_sample_value("projector_build_info", {"version": __version__}) == 1


def test_what_redis_has_dropped_is_a_counter() -> None:
    """Its type and its name are those of a counter, so that `increase()` is right also after Redis began anew."""
    metrics = Metrics()
    metrics.evicted_keys.keys = 7
    text = generate_latest(metrics.registry).decode()
    assert "# TYPE projector_redis_evicted_keys_total counter" in text
    assert "projector_redis_evicted_keys_total 7.0" in text


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_begins_at_0(reason: Reason) -> None:
    """The first letter of a reason is an increase, which an alarm sees."""
    assert Metrics().registry.get_sample_value("projector_dead_letters_total", {"reason": reason.value}) == 0


def test_a_span_knows_its_oldest_record() -> None:
    """The time of a span is that of the first record in it."""
    records = [record(0, event()), record(1, event(event_id="e2"))]
    (batch,) = [batch for batch in batches([Stretch("t/0", 0, 2, (0,), records)]) if batch]
    assert [span.oldest_milliseconds for span in batch.spans] == [records[0].timestamp]


@pytest.mark.parametrize(
    ("milliseconds", "observed", "seconds"),
    [
        (lambda: (time() - 2) * 1000, 1, 2),
        (lambda: (time() + 9) * 1000, 1, 0),
        (lambda: None, 0, 0),
        (lambda: -1, 0, 0),
    ],
    ids=["past", "ahead", "none", "unknown"],
)
def test_the_time_until_an_event_is_visible(
    milliseconds: Callable[[], float | None], observed: int, seconds: int
) -> None:
    """It runs from the recording of a span's oldest record; a clock that is ahead counts as no time at all."""
    recorded = milliseconds()
    oldest = None if recorded is None else int(recorded)
    metrics = Metrics()
    metrics.count(Batch(spans=[Span("t/0", 0, 1, (0,), records=1, oldest_milliseconds=oldest)], records=1), 1)
    assert metrics.registry.get_sample_value("projector_visible_seconds_count") == observed
    assert metrics.registry.get_sample_value("projector_visible_seconds_sum") == pytest.approx(seconds, abs=0.5)
