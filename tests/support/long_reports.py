"""Reports whose texts are as long, and as odd, as what a hash writes in another way than a register."""

from random import Random
from typing import Any, Final

from schemas.identity import JobIdentity
from schemas.job_event import JobEvent
from schemas.job_hash import JOB_ID
from schemas.lifecycle import FINISHED, STAGES

_HEX: Final = "0a" * 32
_SOURCES: Final = ("/w/1", "/clusters/eu-1/workers/gpu-0001", "/w/é", "/" + "w" * 200)
_SIZES: Final = (0, 1, 20, 60, 61, 62, 63, 64, 65, 100, 124, 125, 126, 509, 510, 511, 512, 700)


def reports_of(random: Random, number: int) -> list[tuple[JobEvent, str]]:
    """Return some of the few reports that a job may have, so that many are alike, and where each was recorded."""
    identity = _identity(random, number)
    sources = random.sample(_SOURCES, random.randint(1, 2))
    ids = ["a", "ab", "9b810e76-6ec9-4286-a3ca-828dd5f4b3b2", f"{identity.job_id} {JOB_ID}"]
    few = random.sample(ids, random.randint(1, 2))
    return [_report(random, identity, random.choice(sources), random.choice(few)) for _ in range(random.randint(1, 7))]


def _identity(random: Random, number: int) -> JobIdentity:
    """Return one of many identities, some with long ones among its identifiers."""
    job_id = random.choice([f"{number}", f"{number}-9b810e76-6ec9-4286", f"{number}%1" + "é" * 9, f"{number:064x}"])
    agreement = random.choice(["0x2222", f"0x{_HEX}", _HEX, _HEX.upper(), "plain"])
    return JobIdentity(random.choice(["0x1111", f"0x{_HEX}"]), agreement, job_id, 1)


def _report(random: Random, identity: JobIdentity, source: str, event_id: str) -> tuple[JobEvent, str]:
    stage = random.choice(STAGES)
    time = f"2020-10-01T01:00:0{random.randint(0, 2)}.000000"
    details = _details(random, identity.job_id)
    if stage is not FINISHED:
        details = {name: value for name, value in details.items() if name not in ("outcome", "error")}
    event = JobEvent(identity, stage, time, source, event_id, details)
    return event, f"t/0/{random.randint(0, 20)}{random.choice(['', '+5', '-1700'])}"


def _details(random: Random, job_id: str) -> dict[str, Any]:
    url = f"http://a/{job_id}/{'x' * random.choice(_SIZES)}"
    text = random.choice(["", "\t", JOB_ID, "é", "%1"]) + random.choice("xy") * random.choice(_SIZES)
    details: dict[str, Any] = {
        "configlogURL": random.choice([url, f"http://a/{job_id[:3]}"]),
        "algologURL": random.choice([f"http://{job_id}", f"http://b/{job_id}{job_id}"]),
        "outputsURL": [url] * random.randint(1, 3),
        "message": text + random.choice("ab"),
        "outcome": random.choice(["failed", "succeeded"]),
        "error": text + "!",
    }
    return {name: value for name, value in details.items() if random.random() < 1 / 2}
