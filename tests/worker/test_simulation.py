"""The simulated records: a function of the seed, in the mixture that is asked for."""

from collections import Counter, defaultdict
from itertools import islice, pairwise

import orjson
import pytest

from schemas.decode import RefusedEventError, decode
from schemas.event_time import unix_seconds
from schemas.job_event import JobEvent
from schemas.lifecycle import STAGES
from worker.garbage import GARBAGE
from worker.simulation import LATEST_PACES, LONGEST_JOB_PACES, Mix, SimulatedRecord, events

JOBS = 1000
SENT_AT = 2_000_000_000_000  # the records' timestamp, later than every event
BAD_DAY = Mix(late=0.05, duplicates=0.05, out_of_order=0.05, garbage=0.05, failures=0.2)


def decoded(record: SimulatedRecord) -> JobEvent:
    """Return the event of a record that is not garbage."""
    return decode(record.value, record.headers, SENT_AT)


def test_same_seed_same_records() -> None:
    """The same seed, number of jobs and mixture give the same records, to the byte."""
    assert list(events(7, 200, BAD_DAY)) == list(events(7, 200, BAD_DAY))


def test_other_seed_other_jobs() -> None:
    """Another seed gives other jobs."""
    keys = [{record.key for record in events(seed, 100)} for seed in (1, 2)]
    assert not keys[0] & keys[1]


def test_without_end() -> None:
    """Zero jobs are jobs without end, and begin as a number of jobs does."""
    assert list(islice(events(7, 0, BAD_DAY), 300)) == list(islice(events(7, JOBS, BAD_DAY), 300))


def test_in_the_order_of_sending() -> None:
    """Records come in the order in which they are due."""
    assert all(one.due_seconds <= next_one.due_seconds for one, next_one in pairwise(events(1, JOBS, BAD_DAY)))


def test_every_record_is_what_it_says() -> None:
    """Whatever is not garbage is understood, and garbage is refused for the reason of its kind."""
    for record in events(1, JOBS, Mix(garbage=0.5)):
        if record.garbage is None:
            assert decoded(record).identity.job_id == record.key.decode()
            continue
        with pytest.raises(RefusedEventError) as refusal:
            decode(record.value, record.headers, SENT_AT)
        assert refusal.value.reason is GARBAGE[record.garbage].reason, record.garbage


def test_garbage_can_be_told_apart() -> None:
    """Each garbage record has a key of its own that names its kind, so that dead letters can be matched one for one."""
    garbage = [record for record in events(1, JOBS, Mix(garbage=0.5)) if record.garbage]
    assert len({record.key for record in garbage}) == len(garbage)
    assert all(record.garbage and record.key.decode().endswith(record.garbage) for record in garbage)
    assert {record.garbage for record in garbage} == set(GARBAGE)


def test_a_good_day_has_no_surprises() -> None:
    """Without any of the fractions each job's stages are sent once, in their order, when they happen."""
    by_job: dict[bytes, list[JobEvent]] = defaultdict(list)
    mix = Mix(failures=0)
    for record in events(1, 500, mix):
        event = decoded(record)
        by_job[record.key].append(event)
        assert unix_seconds(event.time) == int(mix.start.timestamp() + record.due_seconds)
    assert len(by_job) == 500
    assert all([event.stage for event in sent] == list(STAGES) for sent in by_job.values())


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.3])
def test_duplicates(fraction: float) -> None:
    """The asked share of events is sent twice, to the byte."""
    times = Counter(record.value for record in events(1, JOBS, Mix(duplicates=fraction)))
    assert sum(number - 1 for number in times.values()) / len(times) == pytest.approx(fraction, abs=0.02)


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.3])
def test_garbage(fraction: float) -> None:
    """The asked share of events is followed by garbage, which takes nothing away from the events."""
    records = list(events(1, JOBS, Mix(garbage=fraction)))
    garbage = sum(record.garbage is not None for record in records)
    assert garbage / (len(records) - garbage) == pytest.approx(fraction, abs=0.02)


@pytest.mark.parametrize("fraction", [0.0, 0.1])
def test_late(fraction: float) -> None:
    """The asked share of events is sent late, by at most so many paces."""
    mix = Mix(late=fraction, pace_seconds=60)
    delays = [
        mix.start.timestamp() + record.due_seconds - unix_seconds(decoded(record).time)
        for record in events(1, JOBS, mix)
    ]
    assert sum(delay > mix.pace_seconds for delay in delays) / len(delays) == pytest.approx(fraction, abs=0.02)
    assert max(delays) <= LATEST_PACES * mix.pace_seconds + 1


@pytest.mark.parametrize("fraction", [0.0, 0.2])
def test_out_of_order(fraction: float) -> None:
    """The asked share of reports is overtaken by the next one of its job; the last has none."""
    sent: dict[bytes, list[int]] = defaultdict(list)
    for record in events(1, JOBS, Mix(out_of_order=fraction, failures=0)):
        sent[record.key].append(decoded(record).stage.code)
    steps = [one > next_one for codes in sent.values() for one, next_one in pairwise(codes)]
    assert sum(steps) / len(steps) == pytest.approx(fraction, abs=0.05)


def test_failures() -> None:
    """The asked share of attempts fails or is cancelled, and some failed jobs are tried a second time after that."""
    ends = [event for event in map(decoded, events(1, JOBS, Mix(failures=0.3))) if event.stage is STAGES[-1]]
    unhappy = [event for event in ends if event.details.get("outcome") in {"failed", "cancelled"}]
    assert len(unhappy) / len(ends) == pytest.approx(0.3, abs=0.03)
    assert all("error" in event.details for event in unhappy if event.details["outcome"] == "failed")
    first = {event.identity.job_id: event for event in ends if event.identity.attempt == 1}
    second = [event for event in ends if event.identity.attempt == 2]
    assert len(second) > JOBS / 20
    assert all(first[event.identity.job_id].details["outcome"] == "failed" for event in second)
    assert all(first[event.identity.job_id].time < event.time for event in second)


def test_rate() -> None:
    """Once jobs begin and end equally often, so many records are due in a second, repetitions and garbage included."""
    mix = Mix(rate=200, pace_seconds=1, duplicates=0.1, garbage=0.1, failures=0.2)
    steady = [record for record in events(1, 2 * JOBS, mix) if 10 <= record.due_seconds < 40]
    assert len(steady) / 30 == pytest.approx(200, rel=0.1)


def test_span() -> None:
    """The estimated span of a simulation is not much longer than the real one, so that a history can end about now."""
    mix = Mix(rate=200, pace_seconds=2)
    last = max(record.due_seconds for record in events(1, JOBS, mix))
    assert last < mix.span_seconds(JOBS) < last * 1.1 + LONGEST_JOB_PACES * mix.pace_seconds


def test_owners() -> None:
    """Jobs belong to the asked number of owners, whose addresses everybody can work out."""
    owners = {orjson.loads(record.value or b"")["data"]["owner"] for record in events(1, 500, Mix(owners=3))}
    assert owners == {
        "0xc98da8f851f78e3702547eca416ad36185941fae",
        "0xdd617121dd2b4db0733c600f38101ade2124e340",
        "0xa8463da8556f8471669c13fc165ff10dda4f0973",
    }


def test_no_pace() -> None:
    """With a pace of zero a job passes all its stages at one moment, in their order."""
    codes = [decoded(record).stage.code for record in events(1, 10, Mix(pace_seconds=0, failures=0))]
    assert codes == [stage.code for stage in STAGES] * 10


@pytest.mark.parametrize(
    ("field", "value"), [("late", 1.1), ("garbage", -0.1), ("owners", 0), ("rate", 0), ("pace_seconds", -1)]
)
def test_nonsense_is_refused(field: str, value: float) -> None:
    """A mixture that makes no sense is refused by the name of its field."""
    with pytest.raises(ValueError, match=field):
        Mix(**{field: value})  # type: ignore[arg-type]
