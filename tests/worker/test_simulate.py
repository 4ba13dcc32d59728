"""`python -m worker simulate`: simulated records in a real Kafka."""

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from devstack import Kafka
from schemas.decode import RefusedEventError, decode
from schemas.event_time import unix_seconds
from tests.support.topics import read_topic
from tests.support.worker_process import run_worker
from worker.command_line import worker
from worker.simulation import Mix, events

MIX = ("--late=0.05", "--duplicates=0.05", "--out-of-order=0.05", "--garbage=0.1", "--failures=0.2", "--owners=3")
END_LIMIT_SECONDS = 20.0

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_simulation() -> Iterator[Start]:
    """Start `python -m worker simulate`; what still runs after the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", "simulate", *arguments],
            cwd=Path(__file__).parents[2],
            env={"PATH": "", "PYTHONUNBUFFERED": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


async def test_as_fast_as_possible(kafka: str, topic: str) -> None:
    """Everything that the seed stands for is in Kafka, each key's records in order; times end about now."""
    done = run_worker(
        "simulate", "--jobs=300", "--seed=5", "--rate=0", *MIX, KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_TOPIC=topic
    )
    end = time.time()
    assert (done.returncode, done.stderr) == (0, "")
    mix = Mix(late=0.05, duplicates=0.05, out_of_order=0.05, garbage=0.1, failures=0.2, owners=3)
    expected = list(events(5, 300, mix))
    records = await read_topic(kafka, topic)
    garbage = sum(record.garbage is not None for record in expected)
    assert f"{len(expected) - garbage:,} events of 300 jobs sent, {garbage:,} garbage records;" in done.stdout
    assert by_key((record.key, record.value) for record in records) == by_key(
        (record.key, record.value) for record in expected
    )
    minutes_ago = sorted((end - unix_seconds(event_time)) / 60 for event_time in map(time_of, records) if event_time)
    assert minutes_ago[0] > 0
    assert minutes_ago[-1] < 10


async def test_garbage_is_refused_by_its_key(kafka: str, topic: str) -> None:
    """Just those records are refused whose keys say that they are garbage."""
    arguments = ("--jobs=100", "--rate=0", "--garbage=0.5")
    assert run_worker("simulate", *arguments, KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_TOPIC=topic).returncode == 0
    outcomes = Counter(
        (record.key.startswith(b"garbage-"), not time_of(record)) for record in await read_topic(kafka, topic)
    )
    assert set(outcomes) == {(True, True), (False, False)}


async def test_paced(kafka: str, topic: str) -> None:
    """At a rate, events are sent when they happen: their times are now, and it takes its time."""
    begin = time.time()
    arguments = ("--jobs=20", "--rate=100", "--pace=0.2", "--seed=1")
    done = run_worker("simulate", *arguments, KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_TOPIC=topic)
    assert done.returncode == 0
    last_due = max(record.due_seconds for record in events(1, 20, Mix(rate=100, pace_seconds=0.2)))
    assert time.time() - begin >= last_due
    for record in await read_topic(kafka, topic):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.timestamp / 1000 + 1))
        assert time_of(record) <= stamp


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_ends_on_request(kafka: str, topic: str, start_simulation: Start, number: signal.Signals) -> None:
    """An endless simulation ends cleanly when asked to, and what it says it sent is in Kafka."""
    process = start_simulation("--rate=200", "--pace=0.1", KAFKA_BOOTSTRAP_SERVERS=kafka, KAFKA_TOPIC=topic)
    assert process.stdout
    assert process.stdout.readline().startswith("simulating endless jobs of seed ")
    async with asyncio.timeout(END_LIMIT_SECONDS):
        while not await read_topic(kafka, topic):
            pass
    process.send_signal(number)
    output, errors = process.communicate(timeout=END_LIMIT_SECONDS)
    assert (process.returncode, errors) == (0, "")
    sent = int(output.splitlines()[-1].split(" ")[0].replace(",", ""))
    assert len(await read_topic(kafka, topic)) == sent


@pytest.mark.group("mortal kafka")
async def test_kafka_away_does_not_stop_it(mortal_kafka: Kafka, mortal_topic: str, start_simulation: Start) -> None:
    """A simulation goes on when Kafka is back, and everything is delivered."""
    address = mortal_kafka.bootstrap_servers
    arguments = ("--jobs=40", "--rate=20", "--pace=0.5", "--seed=1")
    process = start_simulation(*arguments, KAFKA_BOOTSTRAP_SERVERS=address, KAFKA_TOPIC=mortal_topic)
    async with asyncio.timeout(END_LIMIT_SECONDS):
        while not await read_topic(address, mortal_topic):
            pass
    await asyncio.to_thread(mortal_kafka.kill)
    await asyncio.to_thread(mortal_kafka.start)
    output, errors = await asyncio.to_thread(process.communicate, timeout=60)
    assert (process.returncode, errors) == (0, ""), output
    delivered = {record.value for record in await read_topic(address, mortal_topic)}
    assert len(delivered) == len({record.value for record in events(1, 40, Mix(rate=20, pace_seconds=0.5))})


@pytest.mark.group("mortal kafka")
async def test_it_does_not_hang_without_kafka(mortal_kafka: Kafka, mortal_topic: str, start_simulation: Start) -> None:
    """Asked to end while Kafka is away, it ends with 75 after a limited wait and says how much was not delivered."""
    address = mortal_kafka.bootstrap_servers
    process = start_simulation("--rate=200", "--pace=0.1", KAFKA_BOOTSTRAP_SERVERS=address, KAFKA_TOPIC=mortal_topic)
    async with asyncio.timeout(END_LIMIT_SECONDS):
        while not await read_topic(address, mortal_topic):
            pass
    await asyncio.to_thread(mortal_kafka.kill)
    await asyncio.sleep(0.5)  # about a hundred records are due meanwhile
    process.send_signal(signal.SIGTERM)
    _, errors = await asyncio.to_thread(process.communicate, timeout=END_LIMIT_SECONDS)
    assert process.returncode == 75
    assert f"Kafka at {address} has not acknowledged" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--rate=0"], "--rate 0 would never end"),
        (["--as-fast-as-possible"], "--rate 0 would never end"),
        (["--garbage=2"], "--garbage"),
        (["--owners=0"], "--owners"),
        (["--jobs=-1"], "--jobs"),
    ],
)
def test_nonsense_is_refused(arguments: list[str], told: str) -> None:
    """What makes no sense ends the command with 2, and names the option."""
    result = CliRunner().invoke(worker, ["simulate", *arguments])
    assert result.exit_code == 2
    assert told in result.output


def by_key(records: Iterable[tuple[bytes, bytes | None]]) -> dict[bytes, list[Any]]:
    """Return the events of each key, in their order, without times; of garbage, that it is there."""
    found: dict[bytes, list[Any]] = {}
    for key, value in records:
        found.setdefault(key, []).append(
            None if key.startswith(b"garbage-") else orjson.loads(value or b"") | {"time": ""}
        )
    return found


def time_of(record: Any) -> str:
    """Return the time of a record's event; "" for what is not understood."""
    try:
        return decode(record.value, record.headers, record.timestamp).time
    except RefusedEventError:
        return ""
