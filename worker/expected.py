"""What users should see of simulated records, worked out from the contract and from nothing of the projector's.

Slow and obvious on purpose: tests, benchmarks and acceptance runs hold the system against it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from schemas.lifecycle import STAGES
from worker.simulation import SimulatedRecord


class Identity(NamedTuple):
    """One attempt of one job, as the simulation writes it (hex in lower case)."""

    owner: str
    agreement_id: str
    job_id: str
    attempt: int


def expected_jobs(records: Iterable[SimulatedRecord]) -> dict[Identity, dict[str, Any]]:
    """Return the 11 fields of each attempt as an admin sees them, whatever order the records come in.

    Everybody else sees null for `configlogURL` and `publishlogURL`. Garbage is passed over.
    """
    reports: dict[Identity, dict[str, Mapping[str, Any]]] = {}
    for record in records:
        if record.garbage is None and record.value is not None:
            event = orjson.loads(record.value)
            data = event["data"]
            who = Identity(data["owner"], data["agreementId"], data["jobId"], data["attempt"])
            reports.setdefault(who, {})[event["type"]] = event  # the simulation reports a stage once, or repeats it
    return {who: _answer(who, by_type) for who, by_type in reports.items()}


def _answer(who: Identity, events: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the reports of one attempt, by event type, amount to."""
    reached = [(stage, events[stage.event_type]) for stage in STAGES if stage.event_type in events]
    details: dict[str, Any] = {}
    for _, event in reached:  # of each detail the latest stage's value counts
        details |= event["data"]
    furthest, latest = reached[-1]
    return {
        "owner": who.owner,
        "agreementId": who.agreement_id,
        "jobId": who.job_id,
        "dateCreated": _seconds(min(event["time"] for _, event in reached)),
        "dateFinished": _seconds(latest["time"]) if furthest is STAGES[-1] else None,
        "status": furthest.code,
        "statusText": furthest.text,
        "configlogURL": details.get("configlogURL"),
        "publishlogURL": details.get("publishlogURL"),
        "algologURL": details.get("algologURL"),
        "outputsURL": details.get("outputsURL", []),
    }


def _seconds(time: str) -> str:
    return time[: len("2020-10-01T01:00:00")] + "Z"
