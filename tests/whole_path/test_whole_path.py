"""The whole path on real parts: simulated workers, Kafka, projector, Redis, API, held against an independent answer."""

import os
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from projector.letters.headers import HEADER_PREFIX
from projector.store.ledger import ledgers
from schemas.job_event import EXAMPLE
from schemas.redis_layout import bucket_prefix
from tests.support.deployment import Deployment, get, wait_for
from worker.expected import Identity, expected_jobs
from worker.simulated_job import owner_address
from worker.simulation import Mix, SimulatedRecord, events

STATUS = "/api/v1/operator/status"
TOKEN = "let-me-see-and-all-the-rest"  # noqa: S105 - nothing is protected by it
# 100,000 for an acceptance run: `make acceptance`.
JOBS = int(os.environ.get("WHOLE_PATH_JOBS", "5000"))
SECONDS_PER_JOB = 0.005
MIX = Mix(owners=50, duplicates=0.05, garbage=0.01, late=0.05, out_of_order=0.3, start=datetime(2026, 1, 1, tzinfo=UTC))


def answers(address: str, owners: int, **headers: str) -> dict[Identity, dict[str, Any]]:
    """Return what the API says of every job of the simulated owners."""
    found: dict[Identity, dict[str, Any]] = {}
    attempts: Counter[tuple[str, str, str]] = Counter()
    for number in range(owners):
        status, _, jobs = get(address, f"{STATUS}?owner={owner_address(number)}", **headers)
        assert status == 200
        for job in reversed(jobs):
            who = (job["owner"], job["agreementId"], job["jobId"])
            attempts[who] += 1
            found[Identity(*who, attempts[who])] = job
    return found


@pytest.mark.timeout(900)
def test_every_answer_is_right_and_every_bad_record_is_a_letter(deployment: Deployment) -> None:
    """Every answer equals an independent computation, and the dead letters equal the garbage, one for one."""
    deployment.start_projector()
    address = deployment.start_api(API_ADMIN_TOKENS=TOKEN)
    sent: list[SimulatedRecord] = list(events(seed=7, jobs=JOBS, mix=MIX))
    deployment.publish((record.key, record.value, list(record.headers)) for record in sent)
    deployment.wait_until_applied(60 + JOBS * SECONDS_PER_JOB)

    expected = expected_jobs(sent)
    found = answers(address, MIX.owners, Authorization=f"Bearer {TOKEN}")
    assert len(found) == len(expected)
    assert sorted(map(repr, found.values())) == sorted(map(repr, expected.values()))

    garbage = Counter((record.key, record.value) for record in sent if record.garbage)
    letters = deployment.records(f"dlq.{deployment.topic}")
    assert Counter((letter.key, letter.value) for letter in letters) == garbage
    place = [HEADER_PREFIX + part for part in ("topic", "partition", "offset")]
    assert len({tuple(dict(letter.headers)[name] for name in place) for letter in letters}) == len(letters)

    positions = deployment.hash(bucket_prefix(deployment.prefix, 1, 0) + "positions")
    accounts = ledgers([positions])
    assert all(account.is_closed for account in accounts.values())
    assert sum(account.dead_lettered for account in accounts.values()) == len(letters)
    assert sum(account.next for account in accounts.values()) == len(sent)


def test_the_example_of_the_contract(deployment: Deployment) -> None:
    """Events of two attempts give the two objects that the endpoint's own example shows, field by field."""
    deployment.start_projector()
    address = deployment.start_api(API_ADMIN_TOKENS=TOKEN)
    for attempt, folder, publishlog in ((1, "logs", "publish.log"), (2, "logs2", "cpublish.log")):
        base = f"http://example.net/{folder}"
        event = {
            **EXAMPLE,
            "data": {
                **EXAMPLE["data"],
                "attempt": attempt,
                "configlogURL": f"{base}/config.log",
                "publishlogURL": f"{base}/{publishlog}",
                "algologURL": f"{base}/algo.log",
                "outputsURL": [f"{base}/output/0", f"{base}/output/1"],
            },
        }
        deployment.publish_event(event)
    deployment.wait_until_applied()
    status, headers, jobs = get(address, f"{STATUS}?owner=0x1111", Authorization=f"Bearer {TOKEN}")
    assert status == 200
    assert headers["Projection-Generation"] == "1"
    assert [list(job.items()) for job in jobs] == [
        [
            ("owner", "0x1111"),
            ("agreementId", "0x2222"),
            ("jobId", "3333"),
            ("dateCreated", "2020-10-01T01:00:00Z"),
            ("dateFinished", "2020-10-01T01:00:00Z"),
            ("status", 5),
            ("statusText", "Job finished"),
            ("configlogURL", f"http://example.net/{folder}/config.log"),
            ("publishlogURL", f"http://example.net/{folder}/{publishlog}"),
            ("algologURL", f"http://example.net/{folder}/algo.log"),
            ("outputsURL", [f"http://example.net/{folder}/output/0", f"http://example.net/{folder}/output/1"]),
        ]
        for folder, publishlog in (("logs", "publish.log"), ("logs2", "cpublish.log"))
    ]
    user = get(address, f"{STATUS}?jobId=3333")[2]
    assert [(job["configlogURL"], job["publishlogURL"]) for job in user] == [(None, None)] * 2


def test_an_empty_log_is_an_empty_answer_and_no_projector_is_none(deployment: Deployment) -> None:
    """Before a projector has begun a projection the answer is 503, and only then an empty array."""
    address = deployment.start_api()
    status, headers, body = get(address, f"{STATUS}?jobId=1")
    assert status == 503
    assert headers["Retry-After"]
    assert "projection" in body["error"]
    deployment.start_projector()
    wait_for(lambda: get(address, f"{STATUS}?jobId=1")[0] == 200, "the empty projection is ready")
    assert get(address, f"{STATUS}?jobId=1")[2] == []
