"""What users should see of simulated records."""

import random

from operator_status.event import HEADERS
from worker.expected import Identity, expected_jobs
from worker.simulation import Mix, SimulatedRecord, events

BAD_DAY = Mix(late=0.1, duplicates=0.1, out_of_order=0.1, garbage=0.1, failures=0.3)


def record(stage: str, time: str, data: str = "") -> SimulatedRecord:
    """Return a report of the contract's example job."""
    value = (
        f'{{"specversion":"1.0","id":"{stage}","source":"/w","type":"operator.job.{stage}","time":"{time}",'
        f'"data":{{"owner":"0x1111","agreementId":"0x2222","jobId":"3333","attempt":1{data}}}}}'
    )
    return SimulatedRecord(b"3333", value.encode(), HEADERS, 0.0, 0, None)


def test_the_contract_s_fields() -> None:
    """A finished job has exactly the 11 fields of the contract, in its order and its wording."""
    jobs = expected_jobs(
        [
            record("started", "2020-10-01T00:57:00.900000Z"),
            record("running", "2020-10-01T00:58:00.000000Z", ',"algologURL":"http://a/1"'),
            record("finished", "2020-10-01T01:00:00.000000Z", ',"algologURL":"http://a/2","outputsURL":["http://o"]'),
        ]
    )
    job = jobs[Identity("0x1111", "0x2222", "3333", 1)]
    assert list(job.items()) == [
        ("owner", "0x1111"),
        ("agreementId", "0x2222"),
        ("jobId", "3333"),
        ("dateCreated", "2020-10-01T00:57:00Z"),
        ("dateFinished", "2020-10-01T01:00:00Z"),
        ("status", 5),
        ("statusText", "Job finished"),
        ("configlogURL", None),
        ("publishlogURL", None),
        ("algologURL", "http://a/2"),
        ("outputsURL", ["http://o"]),
    ]


def test_an_unfinished_job() -> None:
    """A job that is still running has no date of its end, and no outputs."""
    (job,) = expected_jobs([record("running", "2020-10-01T00:58:00.000000Z")]).values()
    assert (job["status"], job["statusText"], job["dateFinished"]) == (3, "Running algorith", None)
    assert job["outputsURL"] == []


def test_the_order_does_not_matter() -> None:
    """Records in any order give the same jobs, garbage and repetitions or not."""
    records = list(events(1, 300, BAD_DAY))
    expected = expected_jobs(records)
    random.Random(1).shuffle(records)
    assert expected_jobs(records) == expected
    assert len(expected) >= 300
