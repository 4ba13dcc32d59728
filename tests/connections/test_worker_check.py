"""`status-worker check`: whether this machine could report, and what to change when not."""

import uuid
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from devstack import free_port
from tests.support.processes import run
from tests.support.secured_kafka import PASSWORDS, Operation, Resource, Right, SecuredKafka
from tests.support.services import Services
from tests.support.topics import create_topic, read_topic

pytestmark = pytest.mark.server

JOB = ("--owner=0x1111", "--agreement-id=0x2222", "--job-id=3333")


def check(directory: Path, *arguments: str, **environment: str) -> CompletedProcess[str]:
    """Run the command, with these variables alone."""
    return run("worker", ("check", *arguments), {"PATH": "", **environment}, directory, 60)


async def test_all_is_well(services: Services, tmp_path: Path) -> None:
    """Each check has a line; nothing is written; the exit code is 0."""
    name = f"check-{uuid.uuid4().hex[:8]}"
    await create_topic(services.kafka_bootstrap_servers, name)
    settings = {"KAFKA_BOOTSTRAP_SERVERS": services.kafka_bootstrap_servers, "KAFKA_TOPIC": name}
    done = check(tmp_path, *JOB, f"--spool={tmp_path / 'spool'}", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line.split(": ")[0].split(maxsplit=1) for line in done.stdout.splitlines()]
    assert told == [
        ["ok", "job"],
        ["ok", "spool"],
        ["ok", "address"],
        ["note", "TLS"],
        ["note", "SASL"],
        ["ok", "topic"],
        ["ok", "right to write"],
        ["ok", "clock"],
    ]
    assert await read_topic(services.kafka_bootstrap_servers, name) == []


def test_what_is_wrong_is_told_with_what_to_change(services: Services, tmp_path: Path) -> None:
    """A Kafka that is away, a topic that is missing and a spool that cannot be written are named; the code is 1."""
    done = check(tmp_path, *JOB, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    assert (done.returncode, "start it" in done.stdout) == (1, True)
    (tmp_path / "file").touch()
    settings = {"KAFKA_BOOTSTRAP_SERVERS": services.kafka_bootstrap_servers, "KAFKA_TOPIC": "absent"}
    done = check(tmp_path, f"--spool={tmp_path / 'file'}", **settings)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("note   job: none is named here: owner:")
    assert lines[1].startswith("wrong  spool:")
    assert lines[-1].startswith("wrong  topic: Kafka at")
    assert check(tmp_path, KAFKA_TOPIC="a b").returncode == 2


@pytest.mark.group("secured-kafka")
async def test_rights(secured_kafka: SecuredKafka, tmp_path: Path) -> None:
    """A user who sees the topic and may not write to it is told so; with the listed right all is well but the clock."""
    name = f"check-{uuid.uuid4().hex[:8]}"
    await secured_kafka.create(name)
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": secured_kafka.address_of("SASL"),
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_PLAIN_USERNAME": "bob",
        "KAFKA_SASL_PLAIN_PASSWORD": PASSWORDS["bob"],
        "KAFKA_TOPIC": name,
    }
    await secured_kafka.grant_now("bob", [Right(Operation.DESCRIBE, Resource.TOPIC, name)])
    done = check(tmp_path, *JOB, **settings)
    assert (done.returncode, "grant Write on the topic" in done.stdout) == (1, True)
    elsewhere = Right(Operation.WRITE, Resource.TOPIC, f"{name}-other")
    await secured_kafka.grant_now("bob", [Right(Operation.DESCRIBE, Resource.TOPIC, name), elsewhere])
    done = check(tmp_path, *JOB, **settings)
    assert done.returncode == 1
    assert f"wrong  right to write: not granted: grant Write on the topic {name}" in done.stdout
    await secured_kafka.grant_now("bob", [Right(Operation.WRITE, Resource.TOPIC, name)])
    done = check(tmp_path, *JOB, **settings)
    assert done.returncode == 0, done.stdout
    assert "ok     right to write: granted" in done.stdout
    assert "note   clock: not compared" in done.stdout
