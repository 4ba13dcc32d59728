"""The judge of long lists: what was read in many pieces, while jobs changed, is held against the log.

A job stood still when nothing about it came into the log from some time before the first piece was asked for until the
last one was read. It is in the list exactly once, as the log says. Any other job may be shown as of any moment; in a
stream it is there at most once, while from page to page it may have moved, and so be seen twice or not at all.

An answer that does not say that nothing is missing may be without what is in the log, and then only what it shows is
judged.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from tests.torture.clients.walks import STREAM, Walk
from tests.torture.judging.anomalies import Anomaly, Name
from tests.torture.judging.judge import STALE_SECONDS
from tests.torture.judging.truth import Rows, Truth, without_admin_fields

MOST_TOLD: Final = 3  # jobs of one list are told in full


class WalkJudge:
    """Judges the long lists of one topic."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._right: dict[tuple[str, int], Rows] = {}

    def judge(self, walks: Iterable[Walk]) -> Iterator[Anomaly]:
        """Yield what is wrong with them."""
        for walk in walks:
            if walk.wrong_status:
                yield Anomaly(Name.WRONG_ANSWER, f"{_about(walk)}: status {walk.wrong_status}")
                continue
            found = list(self._judge(walk))
            yield from found[:MOST_TOLD]
            if len(found) > MOST_TOLD:
                yield Anomaly(found[-1].name, f"{_about(walk)}: and {len(found) - MOST_TOLD} more jobs")

    def _judge(self, walk: Walk) -> Iterator[Anomaly]:
        shown: defaultdict[str, Rows] = defaultdict(list)
        for row in walk.rows:
            shown[row["jobId"]].append(row)
        matching = self._truth.matching.get(walk.owner, set())
        for job_id in sorted(shown.keys() - matching):
            yield Anomaly(Name.WRONG_ANSWER, f"{_about(walk)}: job {job_id} does not match")
        for job_id in sorted(matching):
            count = self._stood_still(job_id, walk)
            if count is None:
                yield from self._judge_moved(walk, job_id, shown[job_id])
            elif walk.is_current or (walk.kind == STREAM and len(shown[job_id]) > len(self._rows(walk, job_id, count))):
                yield from self._judge_still(walk, job_id, shown[job_id], self._rows(walk, job_id, count))

    def _stood_still(self, job_id: str, walk: Walk) -> int | None:
        """Return how many reports the log had of a job that stood still; None when it did not."""
        reports = self._truth.reports[job_id]
        appended = self._truth.appended[reports.partition]
        times = [appended[offset] for offset in reports.offsets]
        before, until = bisect_left(times, walk.started - STALE_SECONDS), bisect_left(times, walk.ended)
        return before if before == until else None

    def _rows(self, walk: Walk, job_id: str, count: int) -> Rows:
        if (job_id, count) not in self._right:
            self._right[job_id, count] = self._truth.answer_after(job_id, count)
        rows = self._right[job_id, count]
        return rows if walk.is_admin else without_admin_fields(rows)

    def _judge_still(self, walk: Walk, job_id: str, shown: Rows, right: Rows) -> Iterator[Anomaly]:
        if len(shown) > len(right):
            yield Anomaly(Name.TWICE, f"{_about(walk)}: job {job_id}, which stood still, {len(shown)} times: {shown}")
        elif len(shown) < len(right):
            yield Anomaly(Name.MISSED, f"{_about(walk)}: job {job_id}, which stood still, is {right}, shown {shown}")
        elif sorted(shown, key=repr) != sorted(right, key=repr):
            yield Anomaly(Name.WRONG_ANSWER, f"{_about(walk)}: job {job_id} is {right}, shown {shown}")

    def _judge_moved(self, walk: Walk, job_id: str, shown: Rows) -> Iterator[Anomaly]:
        versions = [version.rows for version in self._truth.versions(job_id)]
        if walk.kind == STREAM and len(shown) > max(map(len, versions)):
            yield Anomaly(Name.TWICE, f"{_about(walk)}: job {job_id} {len(shown)} times: {shown}")
        known = [row for rows in versions for row in (rows if walk.is_admin else without_admin_fields(rows))]
        if wrong := [row for row in shown if row not in known]:
            yield Anomaly(Name.WRONG_ANSWER, f"{_about(walk)}: {wrong} never was in the log")


def _about(walk: Walk) -> str:
    return f"{walk.kind} of {walk.owner}, {walk.started:.3f} to {walk.ended:.3f}"
