"""What simulated workers report: who owns the jobs, and what each report carries. Pure functions of their arguments."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from schemas.job_event import SPEC_VERSION
from schemas.lifecycle import OUTCOMES, Stage

OWNER_BYTES: Final = 20  # of an ETH address
AGREEMENT_BYTES: Final = 32
AGREEMENTS_PER_OWNER: Final = 5
MICROSECONDS: Final = 1_000_000
SUCCEEDED, FAILED, CANCELLED = OUTCOMES
ERRORS: Final = (
    "the container ended with exit code 137: out of memory",
    "the algorithm ended with exit code 1",
    "the volume could not be mounted within 300 s",
)


class Owner(NamedTuple):
    """An owner's address and agreements."""

    address: str
    agreements: tuple[str, ...]


class Attempt(NamedTuple):
    """What the reports of one attempt at one job have in common."""

    job: int  # its number, from 0
    identity: Mapping[str, Any]  # as in the event's data
    source: str
    outcome: str
    error: str  # of one that failed
    outputs: int  # of one that succeeded


def owner_address(number: int) -> str:
    """Return the address of an owner, counted from 0."""
    return "0x" + blake2b(f"owner-{number}".encode(), digest_size=OWNER_BYTES).hexdigest()


def owner(number: int) -> Owner:
    """Return an owner, counted from 0."""
    address = owner_address(number)
    names = (f"{address}-{agreement}".encode() for agreement in range(AGREEMENTS_PER_OWNER))
    return Owner(address, tuple("0x" + blake2b(name, digest_size=AGREEMENT_BYTES).hexdigest() for name in names))


def event_value(attempt: Attempt, stage: Stage, microseconds: int) -> bytes:
    """Return the value of the record by which a stage is reported that was reached then (Unix time)."""
    job_id, number = attempt.identity["jobId"], attempt.identity["attempt"]
    return orjson.dumps(
        {
            "specversion": SPEC_VERSION,
            "id": f"{job_id}-{stage.name}-{number}",
            "source": attempt.source,
            "type": stage.event_type,
            "time": _rfc3339(microseconds),
            "datacontenttype": "application/json",
            "data": {**attempt.identity, **_details(attempt, stage.name, f"http://example.net/jobs/{job_id}/{number}")},
        }
    )


def _details(attempt: Attempt, stage: str, folder: str) -> Mapping[str, Any]:
    """Return what a stage's report carries; the log of the algorithm moves when the job is finished."""
    details: dict[str, Any] = {}
    if stage == "configuring":
        details["configlogURL"] = f"{folder}/configure.log"
    elif stage == "running":
        details["algologURL"] = f"{folder}/algorithm.log?follow=true"
        details["message"] = f"running on {attempt.source}"
    elif stage == "uploading":
        details["publishlogURL"] = f"{folder}/publish.log"
    elif stage == "finished":
        details["algologURL"] = f"{folder}/algorithm.log"
        details |= _ending(attempt, folder)
    return details


def _ending(attempt: Attempt, folder: str) -> dict[str, Any]:
    if attempt.outcome == FAILED:
        return {"outcome": FAILED, "error": attempt.error}
    if attempt.outcome == CANCELLED:
        return {"outcome": CANCELLED, "message": "cancelled by the owner"}
    return {"outputsURL": [f"{folder}/output/{number}" for number in range(attempt.outputs)]}


def _rfc3339(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, MICROSECONDS)
    return f"{_whole_seconds(seconds)}.{fraction:06d}Z"


@lru_cache(maxsize=4096)
def _whole_seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
