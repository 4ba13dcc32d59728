"""Reporting while Kafka is away: the job goes on, memory is bounded, and nothing hangs."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import orjson
import pytest

from devstack import Kafka, free_port
from operator_status import JobReporter, KafkaAwayError, QueueFullError, Reporter, TopicMissingError, UndeliveredError
from tests.support.topics import create_topic, read_topic

WHO: dict[str, Any] = {"owner": "0x1111", "agreement_id": "0x2222", "job_id": "3333", "source": "/workers/gpu-7"}
LIMIT_SECONDS = 1.5
SLACK_SECONDS = 3.0
BROKER_SLACK_SECONDS = 10.0  # where a broker starts or dies meanwhile; far less than what aiokafka would wait


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Assert that the block takes no longer."""
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < seconds


def stages(records: Any) -> list[str]:
    """Return which stages the records report, each once, in the order of their first report."""
    return list(dict.fromkeys(orjson.loads(record.value)["type"].rpartition(".")[2] for record in records))


@pytest.fixture
def nowhere() -> str:
    """An address where no Kafka is."""
    return f"127.0.0.1:{free_port()}"


@pytest.mark.long(4)
async def test_kafka_was_never_there(nowhere: str) -> None:
    """A report that is awaited in vain raises within the limit, names the address, and is not waited for again."""
    limit_seconds = SLACK_SECONDS + 1  # twice the limit is more than limit and slack

    async def life() -> None:
        async with JobReporter(
            **WHO, bootstrap_servers=nowhere, strict=True, delivery_timeout_seconds=limit_seconds
        ) as job:
            await job.started()

    with within(limit_seconds + SLACK_SECONDS), pytest.raises(KafkaAwayError, match=nowhere) as failure:
        await life()
    assert failure.value.retriable
    assert "start it, or set KAFKA_BOOTSTRAP_SERVERS" in str(failure.value)
    assert "started of job 3333" in failure.value.__notes__[0]


async def test_the_job_does_not_wait_for_kafka(nowhere: str) -> None:
    """Entering, and reports that are not awaited, cost the job no time; the end names what was not delivered."""

    async def life() -> None:
        async with JobReporter(
            **WHO, bootstrap_servers=nowhere, strict=True, delivery_timeout_seconds=LIMIT_SECONDS
        ) as job:
            with within(0.5):
                job.started()
                job.finished()

    with within(LIMIT_SECONDS + SLACK_SECONDS), pytest.raises(UndeliveredError, match=nowhere) as failure:
        await life()
    assert "started of job 3333 of 0x1111; finished of job 3333 of 0x1111" in str(failure.value)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_bounded_memory(nowhere: str) -> None:
    """Not more than the limit is queued; a report beyond it raises and is not kept."""
    settings: Any = {"bootstrap_servers": nowhere, "strict": True, "delivery_timeout_seconds": 0.1, "max_queued": 3}

    async def life() -> None:
        async with Reporter(**settings) as reporter:
            for number in range(3):
                reporter.job(**{**WHO, "job_id": str(number)}).running()
            with pytest.raises(QueueFullError, match="3 reports wait already") as refusal:
                reporter.job(**WHO).running()
            assert refusal.value.retriable

    with pytest.raises(UndeliveredError, match=r"running of job 0[^;]*(; running of job \d[^;]*){2}\.$"):
        await life()


async def test_many_undelivered_reports_are_not_all_named(nowhere: str) -> None:
    """The error at the end stays readable however many reports it is about."""

    async def life() -> None:
        async with Reporter(bootstrap_servers=nowhere, strict=True, delivery_timeout_seconds=0.1) as reporter:
            for number in range(1000):
                reporter.job(**{**WHO, "job_id": str(number)}).running()

    with pytest.raises(UndeliveredError, match="; and 990 more") as failure:
        await life()
    assert len(str(failure.value)) < 1500


async def test_an_error_of_the_job_comes_first(nowhere: str) -> None:
    """When the job's own code raises, its error stays, and what was not delivered is noted on it."""

    async def life() -> None:
        async with JobReporter(**WHO, bootstrap_servers=nowhere, strict=True, delivery_timeout_seconds=0.1) as job:
            job.started()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as failure:
        await life()
    assert f"Kafka at {nowhere} has not acknowledged" in failure.value.__notes__[0]


@pytest.mark.long(90)
@pytest.mark.group("mortal kafka")
async def test_kafka_dies_and_comes_back(mortal_kafka: Kafka, mortal_topic: str) -> None:
    """Reports that were made while Kafka was away, awaited or not, arrive when it is back, in their order."""
    address = mortal_kafka.bootstrap_servers
    reporter = Reporter(
        bootstrap_servers=address, topic=mortal_topic, strict=True, delivery_timeout_seconds=LIMIT_SECONDS
    )
    async with reporter:
        job = reporter.job(**WHO)
        await job.started()
        await asyncio.to_thread(mortal_kafka.kill)
        job.configuring()
        with within(LIMIT_SECONDS + BROKER_SLACK_SECONDS), pytest.raises(KafkaAwayError, match=address):
            await job.running()
        job.uploading()
        await asyncio.to_thread(mortal_kafka.start)
        reporter._limit_seconds = 30  # noqa: SLF001 - the wait for its return is not what is tested
        await job.finished()
    assert stages(await read_topic(address, mortal_topic)) == [
        "started",
        "configuring",
        "running",
        "uploading",
        "finished",
    ]


async def test_a_long_outage(
    mortal_kafka: Kafka,
    mortal_topic: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After a long silence new connections are tried, no trouble is told twice in a row, and all is delivered."""
    monkeypatch.setattr("operator_status.delivery.delivery.STALL_SECONDS", 0.5)
    address = mortal_kafka.bootstrap_servers
    async with JobReporter(**WHO, bootstrap_servers=address, topic=mortal_topic, strict=True) as job:
        await job.started()
        caplog.clear()  # a busy machine may have been too slow for that already
        await asyncio.to_thread(mortal_kafka.kill)
        waiting = asyncio.ensure_future(_awaited(job.finished()))

        def waits() -> list[str]:
            return [record.message for record in caplog.records if record.name == "operator_status.delivery.delivery"]

        async with asyncio.timeout(20):
            while not any("nobody listens on" in message for message in waits()):  # noqa: ASYNC110 - log lines
                await asyncio.sleep(0.1)
        assert not waiting.done()
        assert waits()[0] == "1 reports wait: nothing was acknowledged for 0.5 s"
        assert all(one != following for one, following in pairwise(waits()))
        await asyncio.to_thread(mortal_kafka.start)
        await waiting
    assert stages(await read_topic(address, mortal_topic)) == ["started", "finished"]


@pytest.mark.group("mortal kafka")
@pytest.mark.parametrize("harm", [Kafka.kill, Kafka.pause], ids=["killed", "frozen"])
async def test_no_hang_at_the_end(mortal_kafka: Kafka, mortal_topic: str, harm: Callable[[Kafka], None]) -> None:
    """However Kafka goes away, the end of `async with` takes no longer than the limit."""
    settings: Any = {"bootstrap_servers": mortal_kafka.bootstrap_servers, "topic": mortal_topic}

    async def life() -> None:
        async with JobReporter(**WHO, **settings, strict=True, delivery_timeout_seconds=LIMIT_SECONDS) as job:
            job.started()
            await asyncio.sleep(0.5)  # so that some of it may be under way
            harm(mortal_kafka)
            job.finished()

    with within(LIMIT_SECONDS + BROKER_SLACK_SECONDS), pytest.raises(UndeliveredError, match="finished of job 3333"):
        await life()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_no_topic(kafka: str, topic: str) -> None:
    """A missing topic is told with the command that creates it; what is queued arrives once it is there."""
    name = f"{topic}-later"
    async with JobReporter(**WHO, bootstrap_servers=kafka, topic=name, strict=True, delivery_timeout_seconds=3) as job:
        with pytest.raises(TopicMissingError, match=rf"{name}.*`python -m projector topics create`"):
            await job.started()
        await create_topic(kafka, name)
        await job.finished()
    assert stages(await read_topic(kafka, name)) == ["started", "finished"]


async def _awaited(handed_over: Any) -> Any:
    return await handed_over
