"""Reporting harms no job: nothing raises, nothing waits longer than it says, what events do not take is left out."""

import asyncio
import logging
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstack import Kafka, free_port
from operator_status import JobReporter, Reporter
from operator_status.delivery.delivery import Delivery
from operator_status.delivery.outbox import Outbox
from operator_status.errors import InvalidEventError
from operator_status.event import HEADERS, ReportedJob
from operator_status.job import NAMES_IN_EVENTS
from operator_status.reporting.forgiving import fitting_report
from operator_status.reporting.reporter import CLOSE_SECONDS, END_SECONDS
from operator_status.settings import KafkaSettings
from projector.fold.job import FoldedJob
from schemas.decode import decode
from schemas.identity import JobIdentity
from schemas.redis_layout import NEWS
from tests.support import forks
from tests.support.topics import read_topic

pytestmark = pytest.mark.group("programs of workers")  # what forks them has imported once what they need

WHO: dict[str, Any] = {"owner": "0x1111", "agreement_id": "0x2222", "job_id": "3333", "source": "/workers/gpu-7"}
SLACK_SECONDS = 3.0

anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.text()), st.just(Path())
)
urls = st.sampled_from(["http://example.net/" + "p" * 2000, "ftp://example.net/", "http://u:p@example.net/"])


@given(
    stage=st.sampled_from(["started", "running", "finished"]),
    details=st.dictionaries(
        st.sampled_from([*NAMES_IN_EVENTS, "time", "massage"]),
        st.one_of(anything, urls, st.lists(urls, max_size=400), st.text(min_size=990, max_size=1010)),
    ),
    attempt=st.one_of(anything, st.just(2)),
    source=st.one_of(anything, st.just("/workers/gpu-7")),
)
def test_whatever_a_job_reports_the_projector_takes(
    stage: str, details: dict[str, Any], attempt: Any, source: Any
) -> None:
    """Whatever is given for details, attempt, source and time, the event that is made of it is accepted."""
    report, _ = fitting_report(ReportedJob("0x1111", "0x2222", "3333", attempt, source), stage, details)
    event = decode(report.value, HEADERS, int(time.time() * 1000))
    assert event.stage.name == stage
    assert event.identity[:3] == ("0x1111", "0x2222", "3333")


@given(owner=anything, agreement_id=anything, job_id=anything, stage=st.one_of(anything, st.just("running")))
def test_what_cannot_be_made_up_is_an_error_that_only_a_strict_reporter_raises(
    owner: Any, agreement_id: Any, job_id: Any, stage: Any
) -> None:
    """Of a job that nobody can identify there is no event, and the one error is InvalidEventError."""
    try:
        report, _ = fitting_report(ReportedJob(owner, agreement_id, job_id), stage, {})
    except InvalidEventError:
        return
    decode(report.value, HEADERS, int(time.time() * 1000))


async def test_what_is_left_out(kafka: str, topic: str, caplog: pytest.LogCaptureFixture) -> None:
    """Texts are cut, URLs that events do not take are left out and logged without their text, and the rest arrives."""
    with JobReporter(**WHO, bootstrap_servers=kafka, topic=topic) as job:
        job.running(
            message="m" * 1001,
            algolog_url="http://u:secret@example.net/",
            outputs_url=["http://example.net/0", "ftp://secret"],
            time="yesterday",
        )
    running, finished = (orjson.loads(record.value)["data"] for record in await read_topic(kafka, topic))
    assert running["message"] == "m" * 999 + "…"
    assert running["outputsURL"] == ["http://example.net/0"]
    assert "algologURL" not in running
    assert finished["outcome"] == "succeeded"
    told = [record.getMessage() for record in caplog.records if record.name.startswith("operator_status")]
    assert [line.partition(": ")[2].partition(":")[0] for line in told] == [
        "message",
        "algologURL",
        "outputsURL",
        "time",
    ]
    assert "secret" not in caplog.text


def test_wrong_settings_and_a_wrong_identity(caplog: pytest.LogCaptureFixture) -> None:
    """Settings that cannot work, and a job that nobody can identify, cost a line of the log, once, and no time."""
    before = time.monotonic()
    with JobReporter(**WHO, bootstrap_servers="kafka", topic="a b") as job:
        job.running()
        assert job.running().result() is None
    with JobReporter(bootstrap_servers=f"127.0.0.1:{free_port()}") as job:
        for _ in range(3):
            job.running()
        job.report("paused")
    assert time.monotonic() - before < 1
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told[0].startswith("nothing is reported: KAFKA_BOOTSTRAP_SERVERS: 'kafka' is not host:port; KAFKA_TOPIC:")
    assert sum("running of job" in line for line in told) == 1
    assert sum("no stage" in line for line in told) == 1


async def test_waiting_in_vain_is_waited_once(caplog: pytest.LogCaptureFixture) -> None:
    """A job that waits for its reports while Kafka is away waits for the first of them, and once more at its end."""
    before = time.monotonic()
    settings: Any = {"bootstrap_servers": f"127.0.0.1:{free_port()}", "delivery_timeout_seconds": 1}
    async with JobReporter(**WHO, **settings) as job:
        assert await job.started() is None
        for _ in range(10):
            assert await job.running() is None
            assert job.running().result() is None
    assert time.monotonic() - before < 2 + CLOSE_SECONDS + SLACK_SECONDS
    assert "nobody listens on" in caplog.text


@pytest.mark.long(5)
def test_the_end_takes_five_seconds() -> None:
    """Without any setting a job whose Kafka is away ends five seconds later than by itself, with its own exit code."""
    text = (
        "from operator_status import JobReporter\n"
        "with JobReporter(owner='0x1111', agreement_id='0x2222', job_id='3333') as job:\n"
        "    job.running(); raise SystemExit(9)\n"
    )
    before = time.monotonic()
    done = forks.run(("-c", text), {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"})
    assert done.returncode == 9
    assert END_SECONDS <= time.monotonic() - before < END_SECONDS + CLOSE_SECONDS + SLACK_SECONDS


def test_a_client_that_loses_its_cancellation_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes on as if nobody had told it to end is told again."""

    async def deaf(_: Delivery) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    monkeypatch.setattr(Delivery, "_deliver", deaf)
    delivery = Delivery(KafkaSettings.load({}), Outbox(10), None)
    delivery.start()
    delivery.end(0.1)
    delivery.ended.result(10)


@pytest.mark.group("mortal kafka")
def test_a_frozen_kafka_is_waited_for_no_longer(mortal_kafka: Kafka, mortal_topic: str) -> None:
    """A broker that hangs with its sockets open costs no more than one that is away."""
    settings: Any = {"bootstrap_servers": mortal_kafka.bootstrap_servers, "topic": mortal_topic}
    with Reporter(**settings, delivery_timeout_seconds=1) as reporter:
        job = reporter.job(**WHO)
        assert job.started().result()
        mortal_kafka.pause()
        before = time.monotonic()
        assert job.running().result() is None
    assert time.monotonic() - before < 2 + CLOSE_SECONDS + SLACK_SECONDS


def test_a_name_server_that_does_not_answer(tmp_path: Path) -> None:
    """The end of the process does not wait for a look-up of a name that is under way."""
    text = (
        "import socket, time\n"
        "socket.getaddrinfo = lambda *_, **__: time.sleep(60)\n"
        "from operator_status import JobReporter\n"
        "with JobReporter(owner='0x1111', agreement_id='0x2222', job_id='3333', bootstrap_servers='kafka:9092',\n"
        "                 delivery_timeout_seconds=0.5) as job: job.running()\n"
    )
    before = time.monotonic()
    assert forks.run(("-c", text), {}, tmp_path).returncode == 0
    assert time.monotonic() - before < 0.5 + CLOSE_SECONDS + SLACK_SECONDS


def test_a_pod_that_is_restarted_after_the_end_changes_nothing() -> None:
    """Reports of earlier stages that come after `finished`, as of a pod that is begun again, change no status."""
    job = ReportedJob("0x1111", "0x2222", "3333", 1, "/workers/pod")
    times = [f"2020-10-01T01:00:{second:02}Z" for second in range(5)]
    life = [
        fitting_report(job, "started", {"time": times[0]}),
        fitting_report(job, "running", {"time": times[1], "message": "epoch 1"}),
        fitting_report(job, "finished", {"time": times[2], "outcome": "failed", "error": "e", "message": "over"}),
    ]
    again = [
        fitting_report(job, "started", {"time": times[3]}),
        fitting_report(job, "running", {"time": times[4], "message": "epoch 0"}),
    ]
    assert folded([report.value for report, _ in [*life, *again]]) == folded([report.value for report, _ in life])


def folded(values: list[bytes]) -> FoldedJob:
    """Return the job that records give, without when it was last heard of."""
    job = FoldedJob(JobIdentity("0x1111", "0x2222", "3333", 1))
    for value in values:
        job.add(decode(value, HEADERS, -1), "")
    job.details.pop(NEWS, None)
    return job


def test_no_thread_is_left_for_us(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A process that may have no more threads goes on without reports."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with JobReporter(**WHO) as job:
        job.running()
    assert "reports cannot be sent: can't start new thread" in caplog.text
