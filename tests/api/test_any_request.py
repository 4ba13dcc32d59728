"""Whatever is asked of the API, its answer is one that the OpenAPI description has."""

import asyncio
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from os import environ
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from devstack import free_port
from schemas.documents import STREAM_PATH, openapi
from service.version import __version__
from tests.support.redis_process import client_of
from tests.support.seeding import FINISHED_JOB, Projection

pytestmark = pytest.mark.group("openapi")


@pytest.fixture(scope="module")
def running_api(redis_url: str) -> Iterator[str]:
    """The address of an API in a process of its own, on a projection with one job."""

    async def fill() -> None:
        async with client_of(redis_url) as redis:
            projection = Projection(redis, "test-description")
            await projection.begin()
            await projection.put([FINISHED_JOB])

    asyncio.run(fill())
    port = free_port()
    settings = {"REDIS_URL": redis_url, "REDIS_PREFIX": "test-description", "API_PORT": str(port)}
    with subprocess.Popen([sys.executable, "-m", "api"], env=environ | settings) as process:
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


# A stream does not end by itself; `test_openapi.py` holds what it tells against its description.
schema = schemathesis.openapi.from_dict(openapi(__version__)).exclude(path=STREAM_PATH)


@schema.parametrize()
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_request_is_answered_as_described(case: schemathesis.Case[Any], running_api: str) -> None:
    """Whatever is asked, by the description or against it, the answer is one that is described."""
    case.call_and_validate(
        base_url=running_api,
        checks=[
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
            status_code_conformance,
            unsupported_method,
        ],
        excluded_checks=[not_a_server_error],
    )
