"""The documents the API serves: its own description and that of the events."""

import orjson
from multidict import CIMultiDict

from api.exchange import Answer
from schemas.documents import asyncapi, event_schema, openapi
from service.version import __version__


def openapi_document() -> Answer:
    """Return the OpenAPI description."""
    return Answer(orjson.dumps(openapi(__version__)), CIMultiDict())


def asyncapi_document() -> Answer:
    """Return the AsyncAPI description of the events."""
    return Answer(orjson.dumps(asyncapi()), CIMultiDict())


def event_schema_document() -> Answer:
    """Return the JSON Schema of an event."""
    return Answer(orjson.dumps(event_schema()), CIMultiDict())
