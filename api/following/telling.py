"""Telling: from rows that changed to the blocks that go to whoever follows them."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from api.following.frames import event, with_id
from api.following.position import Position, encode_id
from api.following.recorded import newest_recorded
from api.following.subscriptions import Kind, Subscriptions, Told
from api.projection.generation import Bucket, Generation
from api.projection.lookup import Changed, Row
from api.projection.standing import Offsets
from api.stream_metrics import StreamMetrics
from schemas.expiry import is_expired
from schemas.identity import JobIdentity
from schemas.job_status import View, render
from schemas.lifecycle import FINISHED
from schemas.stored_job import identity_in

STATUS: Final = "status"
GONE: Final = "gone"
_GONE_FIELDS: Final = 4
# Tells how far the buckets of a query were followed.
PositionOf = Callable[[str | None], Position]


class Telling:
    """Tells subscribers what a bucket answered."""

    def __init__(self, subscriptions: Subscriptions, metrics: StreamMetrics) -> None:
        self._subscriptions = subscriptions
        self._metrics = metrics

    def tell(
        self, generation: Generation, bucket: Bucket, answer: Changed, position: PositionOf, told_before: Offsets
    ) -> None:
        """Give each kind of subscribers its blocks at once, the last with an id: it stands for all of them.

        All reports before the offsets `told_before` were told earlier.
        """
        due: defaultdict[Kind, Due] = defaultdict(Due)
        for job in gone_in(answer.gone):
            for kind in self._subscriptions.of(job):
                due[kind].add(gone_block(job), is_final=True)
        for row in answer.rows:
            self._render(row, generation.cutoff, due, told_before)
        for kind, it in due.items():
            text = encode_id(position(kind.digest), kind.binding)
            told = Told(bucket.number, answer.feed, it.whole(text), len(it.blocks), it.is_final, it.is_open)
            for subscriber in tuple(kind.subscribers):
                subscriber.offer(told)
            if it.recorded is not None:
                self._metrics.sent(time.time() - it.recorded / 1000)

    def _render(self, row: Row, cutoff: bytes, due: "defaultdict[Kind, Due]", told_before: Offsets) -> None:
        job = identity_in(row)
        kinds = self._subscriptions.of(job)
        if not kinds or (cutoff and is_expired(row, cutoff)):
            return
        blocks: dict[View, bytes] = {}
        is_final = False
        recorded = newest_recorded(row, told_before)
        for kind in kinds:
            if kind.view not in blocks:
                item = status_item(row, job, kind.view)
                is_final = item["job"]["status"] == FINISHED.code
                blocks[kind.view] = event(STATUS, item)
            due[kind].add(blocks[kind.view], is_final=is_final, recorded=recorded)


class Due:
    """What a kind of subscribers is to be told, and when the newest of it was recorded, in Unix milliseconds."""

    __slots__ = ("blocks", "is_final", "is_open", "recorded")

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.is_final = False
        self.is_open = False
        self.recorded: int | None = None

    def add(self, block: bytes, *, is_final: bool, recorded: int | None = None) -> None:
        """Add a block about a job."""
        self.blocks.append(block)
        self.is_final |= is_final
        self.is_open |= not is_final
        if recorded is not None and (self.recorded is None or recorded > self.recorded):
            self.recorded = recorded

    def whole(self, text: str) -> bytes:
        """Return all of it; who gets only a part of it has no id that claims the rest."""
        return b"".join([*self.blocks[:-1], with_id(self.blocks[-1], text)])


def status_item(row: Row, job: JobIdentity, view: View) -> dict[str, Any]:
    """Return what a stream says of a job."""
    return {"attempt": job.attempt, "job": render(row, view)}


def gone_block(job: JobIdentity) -> bytes:
    """Return what a stream says of a job that was let go."""
    owner, agreement_id, job_id, attempt = job
    return event(GONE, {"attempt": attempt, "owner": owner, "agreementId": agreement_id, "jobId": job_id})


def gone_in(entries: Iterable[bytes]) -> list[JobIdentity]:
    """Return who was let go, as the entries of a feed say; what is none of ours there is passed over."""
    lines = [line.split("\t") for entry in entries for line in entry.decode(errors="replace").split("\n")]
    return [
        JobIdentity(fields[0], fields[1], fields[2], int(fields[3]))
        for fields in lines
        if len(fields) == _GONE_FIELDS and fields[3].isdigit()
    ]


def array(items: Iterable[bytes]) -> bytes:
    """Return items that are JSON as an array of them."""
    return b"[" + b",".join(items) + b"]"


def item_json(row: Row, job: JobIdentity, view: View) -> bytes:
    """Return the JSON of what a stream says of a job."""
    return orjson.dumps(status_item(row, job, view))
