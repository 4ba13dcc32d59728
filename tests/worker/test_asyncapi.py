"""The AsyncAPI document, held against the code that it describes."""

from typing import Any

import jsonschema_rs
import orjson
import pytest

from operator_status.event import HEADERS
from projector.letters import headers as dead_letters
from projector.settings import ProjectorSettings
from schemas import job_event
from schemas.decode import Reason, RefusedEventError, decode
from schemas.documents import asyncapi
from schemas.lifecycle import STAGES
from tests.schemas.published import PROJECT, published, text

DOCUMENT = asyncapi()
CHANNELS = DOCUMENT["channels"]
MESSAGES = DOCUMENT["components"]["messages"]
EXAMPLES = [(stage.name, example) for stage in STAGES for example in MESSAGES[stage.name]["examples"]]


def referenced(path: str) -> Any:
    """Return what a `$ref` of the document points at; KeyError when it points at nothing."""
    part: Any = DOCUMENT
    for name in path.removeprefix("#/").split("/"):
        part = part[name]
    return part


def references(part: Any) -> list[str]:
    """Return every `$ref` in a part of the document."""
    if isinstance(part, list):
        return [path for item in part for path in references(item)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
    return own + [path for item in part.values() for path in references(item)]


@pytest.mark.parametrize(("name", "content"), published().items())
def test_published_files_say_what_the_code_says(name: str, content: Any) -> None:
    """The files are whole by themselves; the module tests.schemas.published writes them."""
    assert (PROJECT / name).read_text(encoding="utf-8") == text(content)


def test_every_reference_leads_somewhere() -> None:
    """No `$ref` of the document is broken, and none leaves it."""
    paths = references(DOCUMENT)
    assert len(paths) > 10
    assert all(path.startswith("#/") and referenced(path) is not None for path in paths)


def test_topics() -> None:
    """The channels are the topics that are used when no other is set."""
    settings = ProjectorSettings.load({})
    assert CHANNELS["jobEvents"]["address"] == settings.kafka_topic
    assert CHANNELS["deadLetters"]["address"] == settings.dead_letter_topic


def test_each_channel_is_sent_to_and_received_from() -> None:
    """There is an operation for writing and one for reading each topic."""
    operations = {(item["action"], item["channel"]["$ref"]) for item in DOCUMENT["operations"].values()}
    assert operations == {(action, f"#/channels/{name}") for action in ("send", "receive") for name in CHANNELS}


def test_stages() -> None:
    """There is one message for each stage, with its event type and its wording, and no other."""
    assert list(CHANNELS["jobEvents"]["messages"]) == [stage.name for stage in STAGES]
    for stage in STAGES:
        message = MESSAGES[stage.name]
        assert (message["name"], message["title"]) == (stage.event_type, stage.text)
        assert {"properties": {"type": {"const": stage.event_type}}} in message["payload"]["allOf"]


def test_payload_is_the_schema_that_runs() -> None:
    """The payload's schema is the one by which events are checked."""
    published = DOCUMENT["components"]["schemas"]["JobEvent"]
    assert published | {"$schema": job_event.SCHEMA["$schema"]} == job_event.SCHEMA


def test_structured_mode_headers() -> None:
    """The documented header and content type are those that the reporter sends."""
    trait = DOCUMENT["components"]["messageTraits"]["cloudEvent"]
    documented = {name: rule["const"].encode() for name, rule in trait["headers"]["properties"].items()}
    assert documented == dict(HEADERS)
    assert trait["contentType"].encode() == dict(HEADERS)["content-type"]


@pytest.mark.parametrize(
    ("stage", "example"), EXAMPLES, ids=lambda item: item if isinstance(item, str) else item["name"]
)
def test_examples_are_understood(stage: str, example: dict[str, Any]) -> None:
    """Each example, sent as it stands, is an event of the stage that it illustrates."""
    headers = [(name, text.encode()) for name, text in example["headers"].items()]
    event = decode(orjson.dumps(example["payload"]), headers, 1_700_000_000_000)
    assert event.stage.name == stage


def test_dead_letter_headers() -> None:
    """The dead letter's headers are those that the projector writes, and the reasons are the codes that it uses."""
    schema = DOCUMENT["components"]["schemas"]["DeadLetterHeaders"]
    names = [
        dead_letters.HEADER_PREFIX + name
        for name in ("topic", "partition", "offset", "stage", "exception.class.name", "exception.message")
    ]
    assert list(schema["properties"]) == schema["required"] == names
    assert schema["properties"][dead_letters.HEADER_PREFIX + "stage"]["const"] == dead_letters.STAGE
    reasons = schema["properties"][dead_letters.HEADER_PREFIX + "exception.class.name"]["enum"]
    assert reasons == [reason.value for reason in Reason]


def test_the_example_of_a_dead_letter() -> None:
    """The example of a dead letter has the documented headers, and the message that such a record really gets."""
    headers = MESSAGES["deadLetter"]["examples"][0]["headers"]
    jsonschema_rs.validate(DOCUMENT["components"]["schemas"]["DeadLetterHeaders"], headers)
    event = {**job_event.EXAMPLE, "data": {**job_event.EXAMPLE["data"], "owner": "alice"}}
    with pytest.raises(RefusedEventError) as refusal:
        decode(orjson.dumps(event), HEADERS, 1_700_000_000_000)
    assert headers[dead_letters.HEADER_PREFIX + "exception.class.name"] == refusal.value.reason
    assert headers[dead_letters.HEADER_PREFIX + "exception.message"] == str(refusal.value)
