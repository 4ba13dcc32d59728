"""Usual events are folded as they are parsed: the same jobs come out as by the longer way."""

from typing import Any

import orjson
from aiokafka import ConsumerRecord
from hypothesis import example, given
from hypothesis import strategies as st

from projector.fold.batch import Batch
from projector.fold.usual import add_usual, row
from schemas.decode import USUAL_HEADERS, RefusedEventError, decode_any
from schemas.job_event import SPEC_VERSION
from schemas.lifecycle import OUTCOMES, STAGE_BY_EVENT_TYPE
from schemas.registers import record_text
from tests.support.decoding import TIMESTAMP

PARTITION = "job-events/0"
DAY = 86_400_000
TIMES = (
    "2020-10-01T01:00:00.000001Z",
    "2020-10-01T01:00:00.5Z",
    "2020-10-01T01:00:00Z",
    "2020-10-01T01:00:01.1234567Z",
    "2020-10-01T02:00:00+01:00",
    "2020-10-01T01:00:60.000000Z",
    "2020-02-30T01:00:00.000000Z",
    "2020-10-01T01:00:00.00000xZ",
    "2020-10-01T01:00:00x000000Z",
    "2020-10-02T01:00:00.500000Z",
    "2020-10-02T01:00:00.500001Z",
    "2020-10-02T01:00:01.000000Z",
    "2020",
    "",
)
URLS = ("http://a/1", "https://b:80/2", "http://a", "http://a/x y", "ftp://a/1", "", None)
_DATA = st.fixed_dictionaries(
    {
        "owner": st.sampled_from(["0x1a", "0x1A", "0X1A", "1a"]),
        "agreementId": st.sampled_from(["0x2b", "0x2B", "plain", "Plain", " x"]),
        "jobId": st.sampled_from(["3333", "a b", "b "]),
    },
    optional={
        "attempt": st.sampled_from([None, 1, 2, 0]),
        "configlogURL": st.sampled_from(URLS),
        "publishlogURL": st.sampled_from(URLS),
        "algologURL": st.sampled_from(URLS),
        "outputsURL": st.lists(st.sampled_from(URLS[:5]), max_size=2),
        "message": st.sampled_from(["", "x", "x y", "\u00e9", '"']),
        "outcome": st.sampled_from([*OUTCOMES, "", None]),
        "error": st.sampled_from(["", "no"]),
    },
)
_EVENTS = st.fixed_dictionaries(
    {
        "specversion": st.just(SPEC_VERSION),
        "id": st.sampled_from(["a", "a b", "ab", " a"]),
        "source": st.sampled_from(["/w/1", "/w/2"]),
        "type": st.sampled_from(list(STAGE_BY_EVENT_TYPE)),
        "data": _DATA,
    },
    optional={"time": st.sampled_from(TIMES)},
)
_TIMESTAMPS = st.sampled_from([TIMESTAMP, TIMESTAMP + 1, TIMESTAMP - DAY, TIMESTAMP + 3 * DAY, 0, -1, 2**62])
GOOD: dict[str, Any] = {
    "specversion": SPEC_VERSION,
    "id": "a",
    "source": "/w/1",
    "type": "operator.job.running",
    "time": TIMES[0],
    "data": {"owner": "0x1A", "agreementId": "0x2B", "jobId": "3333", "algologURL": URLS[0], "outputsURL": [URLS[1]]},
}


def record(event: Any, timestamp: int, offset: int) -> ConsumerRecord:
    """Return a record as a poll brings it."""
    value = orjson.dumps(event)
    return ConsumerRecord("job-events", 0, offset, timestamp, 0, b"k", value, None, 1, len(value), USUAL_HEADERS)


def folded_by_the_schema(batch: Batch, item: ConsumerRecord) -> None:
    """Join a record in by the published schema alone; a refused one changes nothing."""
    try:
        event = decode_any(item.value, (), item.timestamp)
    except RefusedEventError:
        return
    batch.add(event, 0, record_text(PARTITION, item.offset, event.time, item.timestamp))


@given(st.lists(st.tuples(_EVENTS, _TIMESTAMPS, st.sampled_from([0, 9, 10, 12345])), max_size=8))
@example([(GOOD, TIMESTAMP, 7), (GOOD, TIMESTAMP, 8)])
def test_usual_events_are_folded_as_by_the_schema(items: list[tuple[Any, int, int]]) -> None:
    """Whatever is folded as a usual event changes the batch as the schema would have it, all else changes nothing."""
    usual, longer = Batch(), Batch()
    for event, timestamp, offset in items:
        item = record(event, timestamp, offset)
        row.note(is_usual=True)  # so that each is tried
        if not add_usual(usual, 0, PARTITION, item):
            folded_by_the_schema(usual, item)
        folded_by_the_schema(longer, item)
        assert usual == longer


def test_what_most_write_is_folded_as_a_usual_event() -> None:
    """A good event in either form of its time needs no schema, whatever its letter case and its stage."""
    batch = Batch()
    row.note(is_usual=True)
    for time in TIMES[:4]:
        for event_type in STAGE_BY_EVENT_TYPE:
            assert add_usual(batch, 0, PARTITION, record(GOOD | {"time": time, "type": event_type}, TIMESTAMP, 7))
    assert len(batch.jobs) == 1
