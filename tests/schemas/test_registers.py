"""The text of a register: what is written can be read again, and what nobody wrote is told apart."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.redis_layout import partition_name
from schemas.registers import (
    DETAIL_TIME,
    SEPARATOR,
    STAGE_TIME,
    detail_stamp,
    is_detail_register,
    is_news_register,
    is_stage_register,
    news_parts,
    news_register,
    place_in,
    record_text,
    recorded_at,
    recorded_milliseconds,
    stage_parts,
    stage_register,
    value_in,
    value_text,
)

TIME = "2020-10-01T01:00:00.000000"
TIMES = st.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds"))
IDENTIFIERS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)
PARTITIONS = st.builds(partition_name, st.text("abc._-09", min_size=1), st.integers(0, 999))
VALUES = st.text(st.characters(exclude_categories=["Cs"])) | st.lists(st.text("ab\t:/"))


def test_the_text_is_what_redis_and_archives_hold() -> None:
    """Stored projections and archives are read by later releases, so the form stays."""
    record = record_text("t/0", 7, TIME, 1_601_514_000_250)
    assert stage_register(TIME, "/workers/gpu-7", "e1", record) == f"{TIME}\t/workers/gpu-7\te1\tt/0/a7+250"
    assert news_register(3, TIME) == f"03\t{TIME}"
    stamp = detail_stamp(5, TIME, "e1")
    assert stamp + value_text("done") == f"05\t{TIME}\te1\tdone"
    assert stamp + value_text(["http://a/", "http://b/"]) == f'05\t{TIME}\te1\t["http://a/","http://b/"]'


def test_the_first_of_equal_reports_stays() -> None:
    """What is recorded again, at a greater offset, is the greater register, whatever the number of digits."""
    records = [record_text("t/0", offset, TIME, -1) for offset in (0, 2, 9, 10, 16, 99, 100)]
    assert records == sorted(records)


PLACES = st.tuples(PARTITIONS, st.integers(0, 10**15))


@given(TIMES, IDENTIFIERS, IDENTIFIERS, PLACES, st.integers(-1, 10**14))
def test_the_register_of_a_stage_can_be_read(
    time: str, source: str, event_id: str, place: tuple[str, int], timestamp: int
) -> None:
    """Its parts, its time, and where and when it was recorded are those it was written with."""
    partition, offset = place
    record = record_text(partition, offset, time, timestamp)
    register = stage_register(time, source, event_id, record)
    assert is_stage_register(register.encode())
    assert stage_parts(register.encode()) == [time, source, event_id, record]
    assert register[STAGE_TIME] == time
    assert recorded_at(register) == (partition, offset)
    assert place_in(record) == f"{partition}/{offset}"
    assert recorded_milliseconds(record, time) == (None if timestamp < 0 else timestamp)


@given(st.integers(1, 99), TIMES)
def test_the_register_of_the_last_news_can_be_read(code: int, time: str) -> None:
    """Its stage and its time are those it was written with, and the time is where a detail has its own."""
    register = news_register(code, time)
    assert is_news_register(register.encode())
    assert news_parts(register.encode()) == (code, time)
    assert register[DETAIL_TIME] == time


@given(st.integers(1, 99), TIMES, IDENTIFIERS, VALUES)
def test_the_register_of_a_detail_can_be_read(code: int, time: str, event_id: str, value: Any) -> None:
    """Its value and its time are those it was written with, whatever characters the value has."""
    register = detail_stamp(code, time, event_id) + value_text(value)
    assert is_detail_register(register.encode())
    assert register[DETAIL_TIME] == time
    text = value_in(register.encode()).decode()
    assert (text if isinstance(value, str) else orjson.loads(text)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rubbish",
        TIME,
        f"{TIME}\t/workers/gpu-7\te1",
        f"{TIME}\t/workers/gpu-7\te1\tt/0/7\tmore",
        f"{TIME}Z\t/workers/gpu-7\te1\tt/0/7",
        "2020-02-30T01:00:00.000000\t/workers/gpu-7\te1\tt/0/7",
        f"{TIME}\t/workers/gpu-7\te1\tt/0",
        f"{TIME}\t/workers/gpu-7\te1\tt/0/x",
        f"{TIME}\t/workers/gpu-7\te1\tt/0/7+",
        f"{TIME}\t/workers/gpu-7\te1\tt/0/7+1+1",
    ],
)
def test_what_is_no_register_of_a_stage(text: str) -> None:
    """Parts that are missing or too many, times that are none, and records without an offset."""
    assert not is_stage_register(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        f"{TIME}\te1\tdone",
        f"05\t{TIME}\tdone",
        f"5\t{TIME}\te1\tdone",
        f"05\t{TIME[:-1]}\te1\tdone",
        "05\t2020-02-30T01:00:00.000000\te1\tdone",
    ],
)
def test_what_is_no_register_of_a_detail(text: str) -> None:
    """Parts that are missing, codes of another width, and times that are none."""
    assert not is_detail_register(text.encode())


def test_the_separator_sorts_before_every_identifier() -> None:
    """A shorter source or id sorts before a longer one that begins with it, whatever follows the separator."""
    assert f"a{SEPARATOR}\U0010ffff" < f"a {SEPARATOR}" < f"a!{SEPARATOR}"
    assert f"a{SEPARATOR}" < "a "
