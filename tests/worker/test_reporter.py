"""Reporting to a real Kafka that is well."""

import asyncio
import gc
import secrets
from collections import defaultdict
from typing import Any

import orjson
import pytest

from operator_status import (
    InvalidEventError,
    JobReporter,
    KafkaSettings,
    NotOpenError,
    RefusedByKafkaError,
    Reporter,
    SettingsError,
)
from operator_status.event import HEADERS, Report
from schemas.decode import decode
from schemas.identity import JobIdentity
from schemas.lifecycle import STAGE_NAMES
from tests.support.topics import create_topic, read_topic

WHO: dict[str, Any] = {"owner": "0x1111", "agreement_id": "0x2222", "job_id": "3333", "source": "/workers/gpu-7"}


async def test_a_job_s_life(kafka: str, topic: str) -> None:
    """Each report is in Kafka when its method returns, in order, as a CloudEvent in structured mode, keyed by jobId."""
    async with JobReporter(**WHO, bootstrap_servers=kafka, topic=topic) as job:
        places = [
            await job.started(),
            await job.configuring(configlog_url="http://example.net/logs/config"),
            await job.running(algolog_url="http://example.net/logs/algorithm", message="epoch 1"),
            await job.uploading(publishlog_url="http://example.net/logs/publish"),
            await job.finished(outputs_url=["http://example.net/logs/output/0"]),
        ]
    records = await read_topic(kafka, topic)
    assert [(record.topic, record.partition, record.offset) for record in records] == places
    assert {record.key for record in records} == {b"3333"}
    assert all(list(record.headers) == HEADERS for record in records)
    understood = [decode(record.value, record.headers, record.timestamp) for record in records]
    assert [event.stage.name for event in understood] == list(STAGE_NAMES)
    assert {event.identity for event in understood} == {JobIdentity("0x1111", "0x2222", "3333", 1)}
    assert [event.time for event in understood] == sorted(event.time for event in understood)


async def test_handed_over_reports_are_delivered_in_order(kafka: str, topic: str) -> None:
    """Reports that nobody awaits are in Kafka after `async with`, in the order of the calls, as far as they count."""
    async with JobReporter(**WHO, bootstrap_servers=kafka, topic=topic) as job:
        for number in range(500):
            job.running(message=str(number))
        assert await job.finished()
    records = await read_topic(kafka, topic)
    messages = [orjson.loads(record.value)["data"].get("message") for record in records]
    assert messages[0] == "0"
    assert messages[-2:] == ["499", None]
    assert [int(message) for message in messages[:-1]] == sorted(map(int, messages[:-1]))


async def test_a_repeated_report_can_be_recognised(kafka: str, topic: str) -> None:
    """A report that is made again, by a worker that was restarted meanwhile, has the same id."""
    for _ in range(2):
        async with JobReporter(**WHO, attempt=2, bootstrap_servers=kafka, topic=topic) as job:
            await job.finished(outcome="failed", error="out of memory")
    first, second = (orjson.loads(record.value) for record in await read_topic(kafka, topic))
    assert first["id"] == second["id"]
    assert first["time"] < second["time"]
    assert first["data"] == second["data"]


async def test_one_connection_for_many_jobs(kafka: str, topic: str) -> None:
    """The jobs of one process share a connection, and each job's reports keep their order."""
    async with Reporter(bootstrap_servers=kafka, topic=topic) as reporter:
        jobs = [reporter.job(**{**WHO, "job_id": f"job-{number}"}) for number in range(50)]
        await asyncio.gather(*(job.started() for job in jobs))
        for stage in STAGE_NAMES[1:]:
            for job in jobs:
                getattr(job, stage)()
    sent: dict[bytes, list[str]] = defaultdict(list)
    for record in await read_topic(kafka, topic):
        sent[record.key].append(orjson.loads(record.value)["type"].rpartition(".")[2])
    assert len(sent) == 50
    assert all(stages == list(STAGE_NAMES) for stages in sent.values())


async def test_an_invalid_report_is_not_sent(kafka: str, topic: str) -> None:
    """A report that the projector would refuse raises at the call, names the field, and leaves the others alone."""
    async with JobReporter(**WHO, bootstrap_servers=kafka, topic=topic, strict=True) as job:
        job.started()
        with pytest.raises(InvalidEventError, match=r"^configlogURL: must be an http or https URL"):
            job.configuring(configlog_url="javascript:alert(1)")
        job.finished()
    records = await read_topic(kafka, topic)
    assert [orjson.loads(record.value)["type"] for record in records] == [
        "operator.job.started",
        "operator.job.finished",
    ]


async def test_what_kafka_refuses_does_not_stop_the_rest(kafka: str, topic: str) -> None:
    """A record that Kafka refuses for good raises for its caller, and the reports behind it are delivered."""
    name = f"{topic}-small"
    await create_topic(kafka, name, {"max.message.bytes": "3000"})
    async with JobReporter(**WHO, bootstrap_servers=kafka, topic=name, strict=True) as job:
        await job.started()
        urls = [f"http://example.net/{secrets.token_urlsafe(1000)}" for _ in range(3)]
        refused = job.uploading(outputs_url=urls)
        following = job.finished()
        with pytest.raises(RefusedByKafkaError, match=r"uploading of job 3333.*MessageSizeTooLarge"):
            await refused
        await following
    records = await read_topic(kafka, name)
    assert [orjson.loads(record.value)["type"] for record in records] == [
        "operator.job.started",
        "operator.job.finished",
    ]


async def test_what_the_client_refuses_does_not_stop_the_rest(kafka: str, topic: str) -> None:
    """The same for a record that is too large for any Kafka."""
    too_large = Report("id", b"3333", b"x" * (2 << 20), "something huge")
    async with Reporter(bootstrap_servers=kafka, topic=topic, strict=True) as reporter:
        refused = reporter.hand_over(too_large)
        following = reporter.job(**WHO).started()
        with pytest.raises(RefusedByKafkaError, match="something huge"):
            await refused
        place = await following
    assert place
    assert place.offset == 0


async def test_an_error_of_the_job_passes_through(kafka: str, topic: str) -> None:
    """When the job's own code raises, what was reported is delivered and the error is the job's."""

    async def life() -> None:
        async with JobReporter(**WHO, bootstrap_servers=kafka, topic=topic) as job:
            job.started()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as failure:
        await life()
    assert not hasattr(failure.value, "__notes__")
    assert len(await read_topic(kafka, topic)) == 2


async def test_only_inside_of_the_block(kafka: str, topic: str) -> None:
    """Reporting before or after `async with` says so, instead of waiting for a delivery that nobody makes."""
    job = JobReporter(**WHO, bootstrap_servers=kafka, topic=topic, strict=True)
    with pytest.raises(NotOpenError, match="before `with`"):
        job.started()
    async with job:
        pass
    with pytest.raises(NotOpenError, match="started of job 3333"):
        job.started()


async def test_nothing_is_left_behind(kafka: str, topic: str) -> None:
    """After `async with` there is no task, and no client that complains when it is collected."""
    async with JobReporter(**WHO, bootstrap_servers=kafka, topic=topic) as job:
        await job.started()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    gc.collect()  # warnings are errors


@pytest.mark.parametrize(
    ("given", "environment", "fault"),
    [
        ({"bootstrap_servers": "kafka"}, {}, "KAFKA_BOOTSTRAP_SERVERS: 'kafka' is not host:port"),
        ({"topic": "a b"}, {}, "KAFKA_TOPIC"),
        ({}, {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SASL_PLAIN_USERNAME"),
        ({}, {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CAFILE": "absent.pem"}, "KAFKA_SSL_CAFILE"),
    ],
)
def test_wrong_settings(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], environment: dict[str, str], fault: str
) -> None:
    """Settings that cannot work are told when the reporter is made, before the job begins."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=fault):
        JobReporter(**WHO, **given, strict=True)


def test_settings_are_given_one_way() -> None:
    """Where Kafka is cannot be said in two ways at once."""
    with pytest.raises(SettingsError, match="either settings"):
        JobReporter(**WHO, settings=KafkaSettings.load({}), topic="other", strict=True)


async def test_settings_object(kafka: str, topic: str) -> None:
    """Everything that Kafka's clients can be told may come as one settings object."""
    settings = KafkaSettings.load({"KAFKA_BOOTSTRAP_SERVERS": kafka, "KAFKA_TOPIC": topic})
    async with JobReporter(**WHO, settings=settings) as job:
        place = await job.started()
    assert place
    assert place.topic == topic


async def test_the_worker_s_own_environment(monkeypatch: pytest.MonkeyPatch, kafka: str, topic: str) -> None:
    """Where Kafka is may come from the environment, whose other variables are none of our business."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("KAFKA_TOPIC", topic)
    monkeypatch.setenv("LOG_FORMAT", "the worker's own")
    async with JobReporter(**WHO) as job:
        place = await job.started()
    assert place
    assert place.topic == topic
