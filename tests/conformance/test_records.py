"""Records that the official SDKs of CloudEvents wrote, in every language that has one for Kafka."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from schemas.decode import decode
from schemas.identity import JobIdentity
from schemas.job_event import JobEvent
from schemas.lifecycle import FINISHED
from tests.support.decoding import TIMESTAMP

FOLDER = Path(__file__).parent
FULL = json.loads((FOLDER / "recorders" / "full.json").read_text(encoding="utf-8"))
IDENTITY = JobIdentity("0xabcd000000000000000000000000000000001111", "0x2222", "33-grün", 2)
DETAILS = {name: FULL[name] for name in ("outputsURL", "message", "outcome", "error")}
EXPECTED = JobEvent(IDENTITY, FINISHED, "2020-10-01T01:00:00.000000", "/workers/gpu-7", "33-finished-2", DETAILS)
EXPECTED_OF_SPARSE = EXPECTED._replace(identity=IDENTITY._replace(attempt=1), details={})

SDKS = ["python-1", "python-2", "javascript", "java", "go"]
RECORDED = {sdk: json.loads((FOLDER / "records" / f"{sdk}.json").read_text(encoding="utf-8")) for sdk in SDKS}
RECORDS = {f"{sdk} {record['name']}": record for sdk in SDKS for record in RECORDED[sdk]["records"]}


def raw(text: str | None) -> bytes | None:
    """Return the bytes of a part of a record."""
    return None if text is None else b64decode(text)


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_what_an_sdk_writes_is_understood(record: dict[str, Any]) -> None:
    """The same event comes out of each record, whichever SDK wrote it, in whichever mode."""
    headers = [(name, raw(content)) for name, content in record["headers"]]
    expected = EXPECTED_OF_SPARSE if "sparse" in record["name"] else EXPECTED
    assert decode(raw(record["value"]), headers, TIMESTAMP) == expected


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_the_key_is_the_job(record: dict[str, Any]) -> None:
    """Each SDK can send the jobId as the record's key, which keeps the reports of a job in their order."""
    assert raw(record["key"]) == IDENTITY.job_id.encode()


@pytest.mark.parametrize("sdk", SDKS)
def test_each_sdk_wrote_every_kind(sdk: str) -> None:
    """Both modes, objects with empty members and data as bytes were recorded of each SDK, with its version."""
    kinds = {f"{mode} {data}" for mode in ("structured", "binary") for data in ("full", "sparse", "bytes")}
    assert {record["name"] for record in RECORDED[sdk]["records"]} >= kinds
    assert RECORDED[sdk]["version"]


def test_the_records_hold_what_they_are_kept_for() -> None:
    """Among the records are data in base64, null members and headers, empty members, and a fraction for an attempt."""
    values = [b64decode(record["value"]) for record in RECORDS.values()]
    for part in (b'"data_base64"', b'"attempt":null', b'"message":""', b'"outputsURL":[]', b'"attempt":2.0'):
        assert any(part in value for value in values), part
    assert any(content is None for record in RECORDS.values() for _, content in record["headers"])
