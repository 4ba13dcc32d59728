"""The truth: what the log of one topic says, folded again one record at a time.

It is folded twice. Once into what Redis must hold, byte for byte, by the rule that checks the projector's own; and
once, of the jobs that were asked for, into what users must be answered, out of `worker.expected`, which knows nothing
of the projector.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from projector.fold.record import Record
from projector.replay.verify.facts import Facts
from schemas.decode import decode
from schemas.identity import JobIdentity, job_member
from schemas.redis_layout import partition_name
from schemas.registers import record_text
from worker.expected import Identity, expected_jobs
from worker.simulation import SimulatedRecord

GARBAGE_KEY = b"garbage-"
ADMIN_FIELDS = ("configlogURL", "publishlogURL")
BEYOND_ALL = 2**63
# The 11 fields of a job status, and a list of them.
Row = dict[str, Any]
Rows = list[Row]


class Version(NamedTuple):
    """What an admin must be answered about a job while the position of its partition is from `first` to `last`."""

    first: int
    last: int
    rows: Rows


@dataclass
class Reports:
    """The reports of one jobId (all attempts), in the order of the log; they are in one partition.

    `member` is the name in Redis of one of the attempts, which are all in the same bucket.
    """

    partition: int
    member: str
    offsets: list[int] = field(default_factory=list)
    records: list[SimulatedRecord] = field(default_factory=list)


class Truth:
    """What the log says, as far as it was read."""

    def __init__(self) -> None:
        self.jobs: dict[JobIdentity, Facts] = {}
        self.garbage: dict[tuple[int, int], tuple[bytes | None, bytes | None]] = {}
        self.appended: defaultdict[int, list[float]] = defaultdict(list)
        self.reports: dict[str, Reports] = {}
        # Value of a parameter of the query -> the jobIds that match it.
        self.matching: defaultdict[str, set[str]] = defaultdict(set)
        self._versions: dict[str, list[Version]] = {}

    @property
    def ends(self) -> Mapping[int, int]:
        """The end of each partition, as far as it was read."""
        return {partition: len(appended) for partition, appended in self.appended.items()}

    def add(self, record: Record) -> None:
        """Take in the next record of a partition."""
        appended = self.appended[record.partition]
        if record.offset < len(appended):
            raise ValueError(f"offset {record.offset} of partition {record.partition} follows {len(appended) - 1}")
        self.reach(record.partition, record.offset + 1, record.timestamp / 1000)
        if (record.key or b"").startswith(GARBAGE_KEY):
            self.garbage[record.partition, record.offset] = record.key, digest_of(record.value)
            return
        event = decode(record.value, record.headers, record.timestamp)
        job = self.jobs.setdefault(event.identity, Facts(event.identity))
        job.report(
            event,
            record_text(partition_name(record.topic, record.partition), record.offset, event.time, record.timestamp),
        )
        self._report(event.identity, record)

    def reach(self, partition: int, end: int, unix_seconds: float) -> None:
        """Take in that a partition had this end then; what is no record of anybody's ends or was in a transaction."""
        appended = self.appended[partition]
        appended += [unix_seconds] * (end - len(appended))

    def end_at(self, partition: int, unix_seconds: float) -> int:
        """Return where the partition ended at that time."""
        return bisect_right(self.appended[partition], unix_seconds)

    def versions(self, job_id: str) -> Sequence[Version]:
        """Return every right answer about a job, earliest first; they cover all positions of its partition."""
        if job_id not in self._versions:
            self._versions[job_id] = _versions(self.reports[job_id])
        return self._versions[job_id]

    def answer_after(self, job_id: str, count: int) -> Rows:
        """Return what an admin must be answered about a job of which so many reports are known."""
        return right_answer(self.reports[job_id].records[:count])

    def _report(self, identity: JobIdentity, record: Record) -> None:
        job_id = identity.job_id
        reports = self.reports.setdefault(job_id, Reports(record.partition, job_member(identity)))
        if reports.partition != record.partition:
            raise ValueError(f"job {job_id} is in two partitions")
        reports.offsets.append(record.offset)
        reports.records.append(SimulatedRecord(record.key or b"", record.value, [], 0, 0, None))
        self.matching[identity.owner].add(job_id)
        self.matching[identity.agreement_id].add(job_id)
        self._versions.pop(job_id, None)


def _versions(reports: Reports) -> list[Version]:
    versions: list[Version] = []
    bounds = [-1, *reports.offsets, BEYOND_ALL]
    for count in range(len(reports.records) + 1):
        first, last = bounds[count] + 1, bounds[count + 1]
        rows = right_answer(reports.records[:count])
        if versions and versions[-1].rows == rows:
            versions[-1] = Version(versions[-1].first, last, rows)
        else:
            versions.append(Version(first, last, rows))
    return versions


def right_answer(records: Sequence[SimulatedRecord]) -> Rows:
    """Return what an admin must be answered about the attempts of one job.

    The newest comes first; of equal dates the attempts ascend.
    """
    # Of a stage that was reported twice the earliest report counts: the last one for `expected_jobs`.
    jobs = expected_jobs(sorted(records, key=_happened, reverse=True))
    in_order = sorted(sorted(jobs.items(), key=_attempt), key=_created, reverse=True)
    return [row for _, row in in_order]


def right_rows(truth: Truth, parameters: Mapping[str, str], *, is_admin: bool) -> Rows:
    """Return all jobs that a query has, as they stand in the end."""
    job_ids = {parameters["jobId"]} if "jobId" in parameters else truth.matching[next(iter(parameters.values()))]
    rows = [
        row
        for job_id in job_ids
        if job_id in truth.reports
        for row in truth.versions(job_id)[-1].rows
        if all(row[name] == value for name, value in parameters.items())
    ]
    return rows if is_admin else without_admin_fields(rows)


def without_admin_fields(rows: Rows) -> Rows:
    """Return the rows as everybody else sees them."""
    return [row | dict.fromkeys(ADMIN_FIELDS) for row in rows]


def digest_of(value: bytes | None) -> bytes | None:
    """Return what a value is known by, so that large ones are not kept."""
    return None if value is None else sha256(value).digest()


def rows_of(body: bytes) -> Rows:
    """Return the rows of an answer; ValueError when it is not an array of objects."""
    rows = orjson.loads(body)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("not an array of objects")
    return rows


def _happened(record: SimulatedRecord) -> datetime:
    return datetime.fromisoformat(orjson.loads(record.value or b"null")["time"])


def _attempt(job: tuple[Identity, Row]) -> int:
    return job[0].attempt


def _created(job: tuple[Identity, Row]) -> str:
    return str(job[1]["dateCreated"])
