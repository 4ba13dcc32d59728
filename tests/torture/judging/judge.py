"""The judge: holds every answer that was given against the log.

A job's events are in one partition and in one bucket, so an answer about it tells in which interval the position was
from which it was read: after the last event that it shows, not after the first that it does not. From that everything
follows.

- No interval: no prefix of the log gives this answer. It is wrong.
- It ends below where an earlier answer began that the same API process gave: the projection went back before users'
  eyes. Between processes, or lives of one, that is allowed only after Redis lost writes, of which they cannot know.
- It ends below where the log ended `HEARTBEAT_VALID_SECONDS` ago, by more events than the answer owns up to: the
  answer is stale and says that it is not.
- It ends below what was acknowledged before the heartbeat that it names, by more events than the answer owns up to:
  the lag it tells is smaller than it was even then. This holds whatever became of those events, those behind an open
  transaction too; only a heartbeat from a time to come, as a clock that jumps makes them, says nothing.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from schemas.identity import bucket_of
from tests.torture.clients.acknowledged import Acknowledged
from tests.torture.clients.observation import Observation, Query
from tests.torture.faults.faults import Loss
from tests.torture.judging.anomalies import Anomaly, Name
from tests.torture.judging.truth import Row, Rows, Truth, rows_of, without_admin_fields

# A heartbeat counts for 5 s, is a second old when the next one comes, and needs some time to be written.
STALE_SECONDS: Final = 8.0
# An answer may have been read a moment before Redis was exchanged, and reach its reader after.
ANSWER_SECONDS: Final = 1.5
ANY_LIFE: Final = -1


class Interval(NamedTuple):
    """The positions of a partition, in a bucket, out of which an answer about a job can have been read."""

    partition: int
    bucket: int
    first: int
    last: int

    @property
    def place(self) -> tuple[int, int]:
        """Where positions only grow."""
        return self.partition, self.bucket


class _Shown(NamedTuple):
    """That an answer was read at a position of a partition or beyond it; ordered by when it was given."""

    ended: float
    place: tuple[int, int]
    first: int
    api_life: int
    job_id: str
    status: int


class Judge:
    """Judges the answers about one topic, in the order in which they were asked for."""

    def __init__(self, truth: Truth, buckets: int = 1, acknowledged: Acknowledged | None = None) -> None:
        self._truth = truth
        self._acknowledged = acknowledged or Acknowledged()
        self._buckets = buckets
        # Life of the API, place -> the answer read at the highest position; ANY_LIFE: since the last loss.
        self._highest: dict[tuple[int, tuple[int, int]], _Shown] = {}
        self._highest_status: dict[tuple[int, str], int] = {}
        self._given: list[_Shown] = []
        self._loss_ended = 0.0

    def judge(self, observations: Iterable[Observation], losses: Sequence[Loss]) -> Iterator[Anomaly]:
        """Yield what is wrong with the answers of a round."""
        for seen in sorted(observations, key=lambda seen: seen.started):
            if seen.status == 200:
                self._forget_lost(seen, losses)
                self._remember_given(seen.started)
                yield from self._judge(seen)

    def _judge(self, seen: Observation) -> Iterator[Anomaly]:
        try:
            intervals = self._intervals(seen)
        except ValueError as error:
            yield Anomaly(Name.WRONG_ANSWER, f"{_about(seen)}: {error}")
            return
        for job_id, (interval, rows) in intervals.items():
            for life in (seen.api_life, ANY_LIFE):
                before = self._highest.get((life, interval.place))
                if before and interval.last < before.first:
                    yield self._regression(seen, job_id, rows, interval, before)
                    break
            shown = _Shown(seen.ended, interval.place, interval.first, seen.api_life, job_id, _status(rows))
            heapq.heappush(self._given, shown)
        if seen.query.is_of_one_job and seen.lag_events is not None:
            for interval, _ in intervals.values():
                yield from self._staleness(seen, interval, seen.lag_events)
                yield from self._false_lag(seen, interval, seen.lag_events)

    def _intervals(self, seen: Observation) -> dict[str, tuple[Interval, Rows]]:
        """Return for each job that the answer is about where it was read, and its rows; ValueError when it is wrong."""
        by_job: dict[str, Rows] = {job_id: [] for job_id in self._asked(seen.query)}
        for row in rows_of(seen.body):
            if row["jobId"] not in by_job:
                raise ValueError(f"job {row['jobId']} does not match the query")
            by_job[row["jobId"]].append(row)
        intervals = {}
        for job_id, rows in by_job.items():
            if job_id in self._truth.reports:
                intervals[job_id] = self._interval(job_id, rows, seen.query), rows
            elif rows:
                raise ValueError(f"no event in the log is about job {job_id}")
        return intervals

    def _asked(self, query: Query) -> Iterable[str]:
        return (query.value,) if query.is_of_one_job else self._truth.matching.get(query.value, ())

    def _interval(self, job_id: str, rows: Rows, query: Query) -> Interval:
        """Return where an answer about a job can have been read.

        The attempts of a job can be rows of different calls to Redis when many jobs were asked for.
        """
        versions = self._truth.versions(job_id)
        right = [v for v in versions if rows == (v.rows if query.is_admin else without_admin_fields(v.rows))]
        if not right and not query.is_of_one_job:
            wanted = [v.rows if query.is_admin else without_admin_fields(v.rows) for v in versions]
            right = [v for v, shown in zip(versions, wanted, strict=True) if any(row in shown for row in rows)]
            known: list[Row] = [row for shown in wanted for row in shown]
            right = right if all(row in known for row in rows) else []
        if not right:
            raise ValueError(f"no prefix of the log gives {rows}; right would be {[v.rows for v in versions]}")
        reports = self._truth.reports[job_id]
        return Interval(reports.partition, bucket_of(reports.member, self._buckets), right[0].first, right[-1].last)

    def _regression(self, seen: Observation, job_id: str, rows: Rows, interval: Interval, before: _Shown) -> Anomaly:
        name = Name.REGRESSED_ANSWER
        if self._highest_status.get((before.api_life, job_id), 0) > _status(rows):
            name = Name.REGRESSED_STATUS if rows else Name.FALSE_EMPTY
        return Anomaly(
            name,
            f"{_about(seen)}: job {job_id} as of position {interval.last} or less of partition {interval.partition}, "
            f"but position {before.first} was shown {seen.started - before.ended:.3f} s before "
            f"(job {before.job_id}, life {before.api_life} of the API)",
        )

    def _staleness(self, seen: Observation, interval: Interval, lag_events: int) -> Iterator[Anomaly]:
        end = self._truth.end_at(interval.partition, seen.started - STALE_SECONDS)
        missing = end - interval.last
        if missing > lag_events:
            age = seen.started - self._truth.appended[interval.partition][interval.last]
            yield Anomaly(
                Name.STALE,
                f"{_about(seen)}: {missing} events older than {STALE_SECONDS:.0f} s are not shown (the oldest is "
                f"{age:.1f} s old), Projection-Lag says {lag_events}",
            )

    def _false_lag(self, seen: Observation, interval: Interval, lag_events: int) -> Iterator[Anomaly]:
        if seen.heartbeat is None or seen.heartbeat > seen.started:
            return
        missing = self._acknowledged.end_at(interval.partition, seen.heartbeat) - interval.last
        if missing > lag_events:
            yield Anomaly(
                Name.FALSE_LAG,
                f"{_about(seen)}: {missing} events of partition {interval.partition} that were acknowledged before the "
                f"heartbeat, {seen.started - seen.heartbeat:.1f} s ago, are not shown, "
                f"Projection-Lag says {lag_events}",
            )

    def _remember_given(self, until: float) -> None:
        """Take in the answers that were given before that time: what is asked from then on must not be below them."""
        while self._given and self._given[0].ended < until:
            shown = heapq.heappop(self._given)
            self._highest_status[shown.api_life, shown.job_id] = shown.status
            for life in (shown.api_life, ANY_LIFE):
                if life == ANY_LIFE and shown.ended < self._loss_ended + ANSWER_SECONDS:
                    continue
                known = self._highest.get((life, shown.place))
                if known is None or known.first < shown.first:
                    self._highest[life, shown.place] = shown

    def _forget_lost(self, seen: Observation, losses: Sequence[Loss]) -> None:
        """Forget what other lives of the API have shown when Redis may have lost it until this answer was given."""
        ended = max((loss.ended for loss in losses if loss.began < seen.ended), default=0.0)
        if ended > self._loss_ended:
            self._loss_ended = ended
            self._highest = {key: shown for key, shown in self._highest.items() if key[0] != ANY_LIFE}


def _status(rows: Rows) -> int:
    return max((row["status"] for row in rows), default=0)


def _about(seen: Observation) -> str:
    return f"{seen.query.parameters} at {seen.started:.3f}, life {seen.api_life} of the API"
