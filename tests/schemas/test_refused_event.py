"""What is remembered of refused events that name a job: laws, and which job an event names."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import refused_event
from schemas.decode import Headers, Reason, RefusedEventError, decode, named_job
from schemas.identity import JobIdentity
from schemas.refused_event import RefusedEvent, letters_in, newest
from tests.support.events import event

JOB = JobIdentity("0x1111", "0x2222", "3333", 1)
EVENTS = st.builds(
    refused_event.refused_event,
    st.sampled_from(["a", "b", "ab"]),
    st.integers(-1, 5) | st.just(2**62),
    st.sampled_from(["t/0/1", "t/0/12", "t/1/1"]),
    st.sampled_from(["not-json", "no-time"]),
)
ENTRIES = st.lists(EVENTS.map(lambda one: one.entry), max_size=20)


@given(EVENTS)
def test_an_entry_can_be_read(one: RefusedEvent) -> None:
    """What is stored says what it was stored from."""
    assert RefusedEvent.of(one.entry) == one
    assert letters_in(one.entry.encode()) == [one.letter]


@given(ENTRIES, ENTRIES)
def test_what_is_remembered_depends_on_the_set_alone(one: list[str], other: list[str]) -> None:
    """Whatever is forgotten on the way would not be remembered of all together, however few are kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refused_event, "MAX_REFUSED", 2)
        patch.setattr(refused_event, "MAX_REFUSED_OF_BUCKET", 3)
        assert newest([*newest(one), *newest(other)]) == newest([*other, *one, *one])


def refused(value: dict[str, Any], headers: Headers = ()) -> JobIdentity | None:
    """Return the job that a record names which is refused."""
    text = json.dumps(value).encode()
    with pytest.raises(RefusedEventError) as caught:
        decode(text, headers, 1_601_514_000_000)
    return named_job(text, headers, caught.value.reason)


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "operator.job.paused"},
        {"specversion": "0.3"},
        {"id": ""},
        {"time": "yesterday"},
        {"time": "2030-10-01T01:00:00Z"},
        {"data": event()["data"] | {"algologURL": "javascript:alert(1)"}},
        {"data": event()["data"] | {"owner": "0X1111", "message": "x" * 1001}},
        {"data": None, "data_base64": b64encode(json.dumps(event()["data"] | {"message": 7}).encode()).decode()},
    ],
    ids=str,
)
def test_a_refused_event_names_its_job(wrong: dict[str, Any]) -> None:
    """Whatever is wrong with an event, the job that can be read in it is the one that it is refused for."""
    assert refused(event() | wrong) == JOB
    assert refused({key: value for key, value in event().items() if key != "specversion"}) == JOB


def test_an_event_in_binary_mode_names_its_job() -> None:
    """The job is read where the event carries it."""
    headers = [("ce_specversion", b"1.0"), ("ce_type", b"operator.job.paused"), ("ce_id", b"e1")]
    assert refused(event()["data"] | {"attempt": 3.0}, headers) == JOB._replace(attempt=3)


@pytest.mark.parametrize(
    "data",
    [
        {"owner": "1111"},
        {"agreementId": ""},
        {"jobId": " 3333"},
        {"jobId": "3333\t"},
        {"attempt": 0},
        {"attempt": "2"},
        {"owner": None},
    ],
    ids=str,
)
def test_what_is_no_identity_names_no_job(data: dict[str, Any]) -> None:
    """An event whose owner, agreement, job or attempt is not as it must be is nobody's."""
    assert refused(event() | {"data": event()["data"] | data}) is None


@pytest.mark.parametrize("value", [b"", b"rubbish", b"[" * 200, b"7", b"{}", b'{"data": 7}', b'{"data_base64": "!"}'])
def test_what_is_no_event_names_no_job(value: bytes) -> None:
    """Anything at all may be in a record."""
    for reason in Reason:
        assert named_job(value, (), reason) is None
