"""What a client of the public HTTP API sees."""

import json
from collections import Counter
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

ANSWER_LIMIT_SECONDS = 10.0
STATUS_PATH = "/api/v1/operator/status"
HTTP_OK = 200
# The words of the contract for the statuses 1 to 5.
STAGES = {1: "started", 2: "configuring", 3: "running", 4: "uploading", 5: "finished"}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `code` 0 when there was none, and the body says why."""

    code: int
    body: bytes
    lag: str | None = None


@dataclass(frozen=True)
class StatusApi:
    """The API at an address."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address a person types."""
        return f"http://{self.host}:{self.port}"

    def get(self, path: str) -> Answer:
        """Ask; whatever goes wrong is in the answer."""
        connection = HTTPConnection(self.host, self.port, timeout=ANSWER_LIMIT_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return Answer(response.status, response.read(), response.getheader("Projection-Lag"))
        except (OSError, HTTPException) as error:
            return Answer(0, repr(error).encode())
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Say whether the API says so."""
        return self.get("/readyz").code == HTTP_OK

    def progress(self, owner: str) -> str:
        """Return one line about the jobs of an owner."""
        answer = self.get(f"{STATUS_PATH}?owner={owner}")
        if answer.code != HTTP_OK:
            return f"no answer: {answer.code} {answer.body.decode(errors='replace').strip()}"
        return f"lag {answer.lag} · {describe(json.loads(answer.body))}"


def describe(jobs: list[dict[str, Any]]) -> str:
    """Count jobs by stage: `jobs 3: 1 running, 2 finished`."""
    counts = Counter(job["status"] for job in jobs)
    stages = ", ".join(f"{counts[status]} {name}" for status, name in STAGES.items() if counts[status])
    return f"jobs {len(jobs)}: {stages}" if jobs else "jobs 0"
