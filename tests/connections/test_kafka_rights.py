"""Kafka with an authorizer: what each process may do is enough, and a right that is missing is named."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.deployment import Deployment, wait_for
from tests.support.events import event
from tests.support.markdown import DOCS, code_spans, table
from tests.support.secured_kafka import PASSWORDS, Operation, Resource, Right, SecuredKafka
from tests.support.services import Services

pytestmark = [pytest.mark.server, pytest.mark.group("secured-kafka"), pytest.mark.long(30)]

PROJECTOR, WORKER = "bob", "alice"
OPERATIONS = {"".join(map(str.capitalize, operation.name.split("_"))): operation for operation in Operation}


def projector_rights(name: str) -> dict[str, Right]:
    """Return what docs/operations.md lists for a projector."""
    return {
        "read the log": Right(Operation.READ, Resource.TOPIC, name),
        "write letters": Right(Operation.WRITE, Resource.TOPIC, f"dlq.{name}"),
        "read as the group": Right(Operation.READ, Resource.GROUP, name),
    }


def as_user(kafka: SecuredKafka, user: str) -> dict[str, Any]:
    """Return the settings of a process that is this user."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.address_of("SASL"),
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_PLAIN_USERNAME": user,
        "KAFKA_SASL_PLAIN_PASSWORD": PASSWORDS[user],
        "START_TIMEOUT_SECONDS": "10",
    }


@pytest.fixture
def guarded(
    secured_kafka: SecuredKafka, services: Services, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """Topics of the test's own on the broker that asks for rights, made by who has all of them."""
    on_it = Services(secured_kafka.address_of("CLIENTS"), services.redis_url, services.source)
    directory = tmp_path_factory.mktemp("guarded")
    with Deployment(on_it, f"rights-{uuid.uuid4().hex[:8]}", directory, partitions=1) as deployment:
        yield deployment


def test_the_listed_rights_are_enough(guarded: Deployment, secured_kafka: SecuredKafka) -> None:
    """A worker that may only write reports; a projector that may read, and write letters, applies and sets aside."""
    secured_kafka.grant(WORKER, [Right(Operation.WRITE, Resource.TOPIC, guarded.topic)])
    secured_kafka.grant(PROJECTOR, projector_rights(guarded.topic).values())
    reported = ["publish", "started", "--owner", "0x1111", "--agreement-id", "0x2222", "--job-id", "3333"]
    assert "acknowledged" in guarded.command("worker", *reported, **as_user(secured_kafka, WORKER))
    guarded.publish([(b"k", b"rubbish", [])])
    guarded.start_projector(**as_user(secured_kafka, PROJECTOR))
    guarded.wait_until_applied()
    assert len(guarded.records(f"dlq.{guarded.topic}")) == 1
    wait_for(guarded.heartbeats, "the projector confirms how far it is")
    told = guarded.command("projector", "doctor", **as_user(secured_kafka, PROJECTOR))
    assert "may not be seen by this user" in told


MISSING = {
    "read the log": "lacks a right on a topic",
    "write letters": "lacks a right on a topic",
    "read as the group": "lacks a right on the consumer group",
}


@pytest.mark.parametrize("missing", MISSING)
def test_a_right_that_a_projector_lacks_is_named(
    missing: str, guarded: Deployment, secured_kafka: SecuredKafka
) -> None:
    """Without one of its rights a projector ends with a sentence that says which, and of whom."""
    rights = projector_rights(guarded.topic)
    del rights[missing]
    secured_kafka.grant(PROJECTOR, rights.values())
    said = guarded.command("projector", "run", code=75, **as_user(secured_kafka, PROJECTOR))
    assert f"(the user 'bob' {MISSING[missing]}: " in said, said
    assert "start it" not in said


def test_a_right_that_a_worker_lacks_is_named(guarded: Deployment, secured_kafka: SecuredKafka) -> None:
    """A worker that may not write is told so."""
    secured_kafka.grant(WORKER, [Right(Operation.DESCRIBE, Resource.TOPIC, guarded.topic)])
    reported = ["publish", "started", "--owner", "0x1111", "--agreement-id", "0x2222", "--job-id", "3333"]
    hurried = as_user(secured_kafka, WORKER) | {"START_TIMEOUT_SECONDS": "3"}
    said = guarded.command("worker", *reported, code=75, **hurried)
    assert "the user 'alice' lacks a right" in said, said
    assert "grant Write" in said


def test_letters_that_may_not_be_written_hold_their_partition(guarded: Deployment, secured_kafka: SecuredKafka) -> None:
    """A projector that may see the dead-letter topic and not write to it waits at the bad record, and says why."""
    rights = projector_rights(guarded.topic)
    rights["write letters"] = Right(Operation.DESCRIBE, Resource.TOPIC, f"dlq.{guarded.topic}")
    secured_kafka.grant(PROJECTOR, rights.values())
    good = event()
    guarded.publish([(b"k", json.dumps(good).encode(), []), (b"k", b"rubbish", [])])
    guarded.start_projector(**as_user(secured_kafka, PROJECTOR))
    wait_for(lambda: "TopicAuthorizationFailed" in guarded.logs(), "the log names the refusal")
    assert guarded.positions().get("0", 0) <= 1


def listed(process: str, name: str) -> list[Right]:
    """Return the rights that docs/operations.md lists for a process, on the topics of a test."""
    rights: list[Right] = []
    processes = ""
    for first, resource, operations in table(DOCS / "operations.md", "Rights in Kafka"):
        processes = first or processes
        if f"`{process}`" in processes and resource != "none":
            kind, called = resource.strip("`").split(" `")
            on_it = (Resource[kind.upper()], called.replace("job-events", name))
            rights += [Right(OPERATIONS[operation], *on_it) for operation in code_spans(operations)]
    return rights


COMMANDS = (
    "topics create",
    "doctor",
    "dead-letters list",
    "dead-letters redrive",
    "verify",
    "generations list",
    "rebuild",
    "generations rollback",
    "rebuild --accept-refusals",
    "export",
    "import",
    "expire",
    "skip",
)
WORDS = {
    "export": "export --output {archive}",
    "import": "import {archive}",
    "expire": "expire --before 2000-01-01",
    "skip": "skip --partition 0 --to 3",
}


def test_the_listed_rights_of_commands_are_enough_and_needed(guarded: Deployment, secured_kafka: SecuredKafka) -> None:
    """Each command works as a user that has what is listed for it and nothing else, and names what is missing."""
    secured_kafka.grant(PROJECTOR, projector_rights(guarded.topic).values())
    good = json.dumps(event()).encode()
    guarded.publish([(b"k", good, []), (b"k", b"rubbish", [])])
    projector = guarded.start_projector(**as_user(secured_kafka, PROJECTOR))
    guarded.wait_until_applied()
    wait_for(guarded.heartbeats, "the projector confirms how far it is")
    for command in COMMANDS:
        words = WORDS.get(command, command).format(archive=guarded.directory / "archive").split()
        rights = listed(command, guarded.topic)
        if command == "skip":  # what nobody has applied
            guarded.stop(projector)
            guarded.publish([(b"k", good, [])])
        if rights:
            secured_kafka.grant(WORKER, rights[1:])
            code = 1 if command == "doctor" else 75
            said = guarded.command("projector", *words, code=code, **as_user(secured_kafka, WORKER))
            assert "the user 'alice' lacks a right on a topic: " in said, said
            assert "as docs/operations.md lists them" in said, said
        secured_kafka.grant(WORKER, rights)
        guarded.command("projector", *words, **as_user(secured_kafka, WORKER))
