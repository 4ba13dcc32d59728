"""The OpenAPI description says what the code does, and the other way round."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any
from unittest.mock import create_autospec

import jsonschema_rs
import pytest

from api.app import routes, stream_routes
from api.asking.applied import Applied
from api.asking.credentials import Credentials
from api.asking.query import FILTERS, MAX_LIMIT, MAX_VALUE_CHARACTERS, PARAMETERS, parse_query
from api.asking.telling import Timelines
from api.ending import Ending
from api.metrics import Metrics
from api.projection.lookup import Place
from api.projection.projection import Projection as ApiProjection
from api.streams.query import MAX_CHARACTERS
from api.streams.query import PARAMETERS as STREAM_PARAMETERS
from api.streams.streams import Streams
from api.web.status_page import CLIENT_PATH, EMBED_PATH, status_page
from schemas import job_event
from schemas.documents import asyncapi, openapi
from service.version import __version__
from tests.support.client import STATUS, STREAM, TICKET, TIMELINE, Client, StartApi
from tests.support.event_source import event_source
from tests.support.markdown import PROJECT
from tests.support.seeding import FINISHED_JOB, Projection

pytestmark = pytest.mark.group("openapi")

DOCUMENT = openapi(__version__)
COMPONENTS = DOCUMENT["components"]
LISTS = (STATUS, TIMELINE)
# Asked with GET, and answered at once.
PLAIN = [path for path in DOCUMENT["paths"] if path not in {STREAM, TICKET}]
DOCUMENTS = ("/openapi.json", "/asyncapi.json", "/schemas/job-event.json")


def resolved(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a reference names, or the item itself."""
    if "$ref" not in item:
        return item
    _, kind, name = item["$ref"].rsplit("/", 2)
    found: Mapping[str, Any] = COMPONENTS[kind][name]
    return found


def validate(schema: Mapping[str, Any], value: Any) -> None:
    """Raise unless the value meets a schema of the document."""
    jsonschema_rs.validate({**schema, "components": COMPONENTS}, value, validate_formats=True)


def responses() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield path, status and response of everything that is described."""
    for path, operations in DOCUMENT["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                yield path, status, resolved(response)


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    """The paths of the document are those of the code, but for the files that the page is made of."""
    known = routes(
        Credentials((), is_required=False),
        create_autospec(ApiProjection),
        Metrics(),
        Ending(),
        timelines=create_autospec(Timelines),
        applied=create_autospec(Applied),
    )
    files = status_page().keys() - {"/", CLIENT_PATH, EMBED_PATH}
    assert set(DOCUMENT["paths"]) == {*known, *stream_routes(create_autospec(Streams))} - files


def test_parameters_are_those_of_the_code() -> None:
    """Both lists take the parameters that the code knows, with its limits."""
    for path in LISTS:
        described = [resolved(parameter) for parameter in DOCUMENT["paths"][path]["get"]["parameters"]]
        assert [item["name"] for item in described if item["in"] == "query"] == list(PARAMETERS)
    described = [resolved(parameter) for parameter in DOCUMENT["paths"][STREAM]["get"]["parameters"]]
    names = [item["name"] for item in described if item["in"] == "query"]
    assert names == [*FILTERS, "dates", *STREAM_PARAMETERS]
    assert COMPONENTS["parameters"]["lastEventId"]["schema"]["maxLength"] == MAX_CHARACTERS
    assert COMPONENTS["parameters"]["limit"]["schema"]["maximum"] == MAX_LIMIT
    for name in ("owner", "agreementId", "jobId", "cursor"):
        assert COMPONENTS["parameters"][name]["schema"]["maxLength"] == MAX_VALUE_CHARACTERS


def test_every_example_is_valid() -> None:
    """Every example meets the schema it stands beside."""
    count = 0
    for _, _, response in responses():
        for media in response.get("content", {}).values():
            for example in media.get("examples", {}).values():
                validate(media["schema"], example["value"])
                count += 1
    for kind in ("parameters", "headers"):
        for item in COMPONENTS[kind].values():
            if "example" in item:
                validate(item["schema"], item["example"])
                count += 1
    assert count > 30
    parse_query(
        f"owner={COMPONENTS['parameters']['owner']['example']}&asOf={COMPONENTS['parameters']['asOf']['example']}"
    )


def test_the_cursors_of_the_examples_are_cursors() -> None:
    """The example of `Link` is the one that the example of an answer has, and its cursor is the parameter's example."""
    link = COMPONENTS["headers"]["Link"]["example"]
    place = Place(FINISHED_JOB.score, FINISHED_JOB.member)
    assert link == f'<?{parse_query("owner=0x1111&limit=1").going_on(place)}>; rel="next"'
    cursor = COMPONENTS["parameters"]["cursor"]["example"]
    assert parse_query(f"owner=0x1111&limit=1&cursor={cursor}").search.after == place
    assert f"cursor={cursor}>" in link


def test_the_version_is_that_of_the_package() -> None:
    """Who reads the description knows which release answers."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert DOCUMENT["info"]["version"] == __version__ == version(project["name"])


def test_both_lists_are_described_by_one_source() -> None:
    """What is alike of status and timeline is written once, and described for both."""
    status, timeline = (DOCUMENT["paths"][path]["get"] for path in LISTS)
    assert status["parameters"] == timeline["parameters"]
    assert timeline["responses"].keys() - status["responses"].keys() == {"404", "410"}
    assert status["responses"]["200"]["headers"] == timeline["responses"]["200"]["headers"]
    written = json.loads((PROJECT / "schemas" / "openapi.json").read_text())["paths"][TIMELINE]["get"]
    assert set(written) == {"operationId", "summary", "description", "responses"}
    assert timeline["operationId"] != status["operationId"]


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    """Nothing in the document points nowhere or is left over."""
    text = str(DOCUMENT)
    for kind in ("parameters", "headers", "responses", "schemas"):
        for name in COMPONENTS[kind]:
            assert f"#/components/{kind}/{name}'" in text
    for path, _, response in responses():
        assert response["description"], path
        assert all(resolved(header)["description"] for header in response["headers"].values())


async def test_answers_have_the_headers_that_are_described(
    api: Client, start_api: StartApi, projection: Projection
) -> None:
    """Each described header comes, with a value that meets its schema, and no other one of ours."""
    await projection.put([FINISHED_JOB])
    unready = await start_api("test-nothing-here")
    always = {"server", "date", "content-type", "content-length", "connection", "x-content-type-options",
              "access-control-allow-origin", "access-control-expose-headers", "transfer-encoding",
              "content-security-policy", "referrer-policy"}  # fmt: skip
    answers = [(path, await api.get(f"{path}?owner=0x1111&limit=1")) for path in PLAIN]
    answers += [(path, await api.get(f"{path}?x=1")) for path in LISTS]
    answers += [(path, await api.get(f"{path}?x=1", Authorization="Bearer x")) for path in LISTS]
    answers += [(path, await api.request("POST", path)) for path in (*PLAIN, STREAM)]
    answers += [(STREAM, await api.get(f"{STREAM}?x=1"))]
    answers.append((TIMELINE, await api.get(f"{TIMELINE}?jobId=unknown")))
    answers += [(path, await unready.get(f"{path}?owner=0x1")) for path in (*LISTS, "/readyz")]
    answers += [(path, await api.get(f"{path}?owner=0x1111", If_None_Match="*")) for path in (*LISTS, "/", *DOCUMENTS)]
    for path, answer in answers:
        described = resolved(DOCUMENT["paths"][path]["get"]["responses"][str(answer.status)])["headers"]
        names = {name.lower(): resolved(header)["schema"] for name, header in described.items()}
        assert {name.lower() for name in answer.headers} - always <= set(names)
        for name, schema in names.items():
            if name in answer.headers:
                value = answer.headers[name]
                validate(schema, int(value) if schema.get("type") == "integer" else value)


@pytest.mark.parametrize(
    ("path", "document"), list(zip(DOCUMENTS, (DOCUMENT, asyncapi(), job_event.SCHEMA), strict=True)), ids=DOCUMENTS
)
async def test_a_document_is_served(api: Client, path: str, document: dict[str, Any]) -> None:
    """The descriptions are served as they are, with a tag, and compressed to those who accept it."""
    answer = await api.get(path)
    assert answer.json() == document
    assert answer.headers["Content-Type"] == "application/json"
    assert (await api.get(path, If_None_Match=answer.headers["ETag"])).status == 304
    assert (await api.get(path, Accept_Encoding="gzip")).headers["Content-Encoding"] == "gzip"


async def test_a_ticket_is_as_described(api: Client) -> None:
    """What gives out tickets answers as the document says."""
    answer = await api.request("POST", f"{TICKET}?owner=0x1111")
    described = DOCUMENT["paths"][TICKET]["post"]["responses"]["200"]
    validate(described["content"]["application/json"]["schema"], answer.json())
    assert (await api.get(TICKET)).headers["Allow"] in COMPONENTS["headers"]["Allow"]["schema"]["enum"]


async def test_what_a_stream_tells_is_as_described(api: Client, projection: Projection) -> None:
    """Each event meets the schema of the items, and its data the schema that stands beside its name."""
    await projection.put([FINISHED_JOB])
    schema = DOCUMENT["paths"][STREAM]["get"]["responses"]["200"]["content"]["text/event-stream"]["itemSchema"]
    kinds = {kind["properties"]["event"]["const"]: kind for kind in COMPONENTS["schemas"]["StreamEvent"]["oneOf"]}
    async with event_source(api, "jobId=3333&lastEventId=none") as source:
        await source.closed()
    assert {"reset", "snapshot", "end"} <= set(source.names)
    for name, data, at in source.events:
        item = {"event": name, "data": json.dumps(data)} | ({"id": at} if at else {})
        validate(schema, item)
        validate(kinds[name]["properties"]["data"]["contentSchema"], data)
