"""A run counts only when it saw enough."""

from collections import Counter

import pytest

from tests.torture.faults.schedule import Kind
from tests.torture.judging.anomalies import Anomaly, Name
from tests.torture.judging.figures import (
    ANSWERS_PER_HOUR,
    EVENTS_PER_HOUR,
    FAULTS_PER_HOUR,
    KILLS_PER_HOUR,
    KINDS_PER_HOUR,
    NEW_LOGS_PER_HOUR,
    PAGED_LISTS_PER_HOUR,
    SLOW_READERS_PER_HOUR,
    STREAMS_OPENED_PER_HOUR,
    STREAMS_PER_HOUR,
    Figures,
)


def half_an_hour(**seen: int) -> Figures:
    """Return the figures of half an hour that saw just enough, but for what is given."""
    enough = half_an_hour_of_enough() | seen
    kinds = {kind.value: enough.get(kind.value, least) for kind, least in KINDS_PER_HOUR.items()}
    return Figures(
        seed=1,
        minutes=30,
        kills=enough["kills"],
        events=enough["events"],
        slow_readers=enough["slow readers"],
        streams_opened=enough["streams opened"],
        new_logs=enough["logs made anew"],
        faults=Counter(kinds | {"API killed": enough["faults"] - sum(kinds.values())}),
        answers=Counter({"200": enough["answers"], "503": 10**9}),
        walks=Counter({"stream": enough["streams"], "pages": enough["lists"]}),
    )


def half_an_hour_of_enough() -> dict[str, int]:
    """Return how much of each is just enough."""
    return {
        "faults": FAULTS_PER_HOUR // 2,
        "kills": KILLS_PER_HOUR // 2,
        "events": EVENTS_PER_HOUR // 2,
        "answers": ANSWERS_PER_HOUR // 2,
        "streams": STREAMS_PER_HOUR // 2,
        "lists": PAGED_LISTS_PER_HOUR // 2,
        "slow readers": SLOW_READERS_PER_HOUR // 2,
        "streams opened": STREAMS_OPENED_PER_HOUR // 2,
        "logs made anew": NEW_LOGS_PER_HOUR // 2,
        "flood of large garbage": KINDS_PER_HOUR[Kind.FLOOD] // 2,
    }


def test_a_run_that_saw_enough_and_nothing_wrong_is_good() -> None:
    """Half the time needs half of everything."""
    assert half_an_hour().is_good


@pytest.mark.parametrize(
    "what",
    [
        "faults",
        "kills",
        "events",
        "answers",
        "streams",
        "lists",
        "slow readers",
        "logs made anew",
        "flood of large garbage",
    ],
)
def test_a_run_that_saw_too_little_fails(what: str) -> None:
    """One thing that happened too seldom is named, and the run means nothing."""
    enough = half_an_hour_of_enough()[what]
    figures = half_an_hour(**{what: enough - 1})
    assert not figures.is_good
    (shortfall,) = figures.shortfalls
    assert shortfall.startswith(f"{enough - 1} {what}")


def test_a_run_that_saw_something_wrong_fails() -> None:
    """One anomaly is too many, and then nobody complains that the run was short."""
    figures = half_an_hour(events=0)
    figures.anomalies.append((1, Anomaly(Name.STUCK, "after 30 s of peace")))
    assert not figures.is_good
    assert figures.shortfalls == []
