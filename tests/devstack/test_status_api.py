"""The progress line, read from an HTTP server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from devstack.ports import LOCALHOST, free_port
from devstack.status_api import StatusApi, describe

JOBS = [{"status": status} for status in (1, 3, 3, 5, 5, 5)]


class Handler(BaseHTTPRequestHandler):
    """Answers for one owner, and with an error for others."""

    def do_GET(self) -> None:
        """Answer."""
        is_known = self.path.endswith("?owner=0x1")
        self.send_response(200 if is_known else 503)
        self.send_header("Projection-Lag", "7")
        self.end_headers()
        self.wfile.write(json.dumps(JOBS if is_known else {"error": "rebuilding"}).encode())

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def api() -> Iterator[StatusApi]:
    """Serve the answers."""
    with HTTPServer((LOCALHOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield StatusApi(LOCALHOST, server.server_port)
        server.shutdown()


def test_jobs_are_counted_by_stage(api: StatusApi) -> None:
    """The line has the lag, the number of jobs and those in each stage that has any."""
    assert api.progress("0x1") == "lag 7 · jobs 6: 1 started, 2 running, 3 finished"


def test_no_jobs_are_no_stages() -> None:
    """Without jobs the line says so."""
    assert describe([]) == "jobs 0"


def test_an_error_is_shown_in_the_apis_own_words(api: StatusApi) -> None:
    """An answer that is not 200 is shown as it is, and the API is not called ready."""
    assert api.progress("0x2") == 'no answer: 503 {"error": "rebuilding"}'
    assert not api.is_ready()


def test_no_server_is_no_answer() -> None:
    """Without a server the reason is shown, and nothing is raised."""
    assert "ConnectionRefusedError" in StatusApi(LOCALHOST, free_port()).progress("0x1")
