"""Names in Redis: one slot for each bucket, and a pointer that survives being written and read."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event_time import unix_seconds
from schemas.redis_layout import (
    STORED_FIELDS,
    Pointer,
    bucket_prefix,
    partition_name,
    pointer_key,
    score_of,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
POINTERS = st.builds(
    lambda live, version, cluster, topic, incarnations: Pointer(
        live, len(incarnations), version, cluster, topic, tuple(incarnations)
    ),
    st.integers(1),
    st.integers(1),
    TEXT,
    TEXT,
    st.lists(TEXT, min_size=1, max_size=4),
)


def written(pointer: Pointer) -> dict[bytes, bytes]:
    """Return the pointer's hash as Redis answers it."""
    return {name.encode(): value.encode() for name, value in pointer.as_fields().items()}


@given(POINTERS)
def test_a_pointer_survives_being_written_and_read(pointer: Pointer) -> None:
    """What one process writes is what another one reads."""
    assert Pointer.from_fields(written(pointer)) == pointer


@given(POINTERS, st.sampled_from([b"live", b"buckets", b"fold", b"cluster", b"topic"]))
def test_a_damaged_pointer_is_noticed(pointer: Pointer, name: bytes) -> None:
    """A pointer that lacks a field is an error, not another pointer."""
    fields = written(pointer)
    del fields[name]
    with pytest.raises(KeyError):
        Pointer.from_fields(fields)


@given(POINTERS, st.sampled_from([b"live", b"buckets", b"fold"]), st.sampled_from([b"", b"x", b"1.5"]))
def test_a_pointer_of_no_number_is_noticed(pointer: Pointer, name: bytes, content: bytes) -> None:
    """A pointer whose numbers are none is an error, not another pointer."""
    with pytest.raises(ValueError, match="invalid literal"):
        Pointer.from_fields(written(pointer) | {name: content})


def test_every_key_of_a_bucket_is_in_one_slot() -> None:
    """The part in braces, which decides the slot in a cluster, is the same for a bucket's keys and for no other's."""
    assert bucket_prefix("operator", 1, 0) == "operator:{g1.b0}:"
    tags = {
        prefix[prefix.index("{") : prefix.index("}")]
        for prefix in (bucket_prefix("operator", generation, bucket) for generation in (1, 11) for bucket in (0, 1, 11))
    }
    assert len(tags) == 6


def test_the_pointer_is_no_key_of_a_bucket() -> None:
    """The pointer is found by the prefix alone."""
    assert pointer_key("operator") == "operator:generation"


def test_a_partition_has_one_name() -> None:
    """Topic and partition are told apart, for a topic holds no slash."""
    assert partition_name("job-events", 0) == "job-events/0"


def test_fields_are_named_once() -> None:
    """The answer of one HMGET has each field once: the identity, registers of stages and details, the last news."""
    assert (
        *("owner", "agreementId", "jobId", "attempt"),
        *("started", "configuring", "running", "uploading", "finished"),
        *("configlogURL", "publishlogURL", "algologURL", "outputsURL", "message", "outcome", "error"),
        "news",
    ) == STORED_FIELDS


@given(st.datetimes(), st.datetimes())
def test_scores_put_the_newest_first(one: datetime, other: datetime) -> None:
    """Ascending scores are descending seconds."""
    seconds = [unix_seconds(moment.isoformat(timespec="microseconds")) for moment in (one, other)]
    scores = [score_of(second) for second in seconds]
    assert (scores[0] < scores[1]) == (seconds[0] > seconds[1])
