"""Verify: the log is folded again, by other means than the projector's, and held against what is stored.

No snapshot is needed: jobs are read together with the positions they are a fold of, and the second fold is taken to
exactly these positions before the two are compared. So events that arrive meanwhile only mean that it goes on a little.

Case 1: positions are below those already reached (another bucket, or Redis lost writes). It waits until they are not.
Case 2: a position is beyond the log's end. That is a difference; the rest is compared at the end of the log.
Case 3: the record before a position is another one than was applied: the log was made anew, or cut and filled again.
        In both cases what is stored may be the last that is left, so nothing is mended unless the log is to be trusted.
Case 4: something is mended. It is written only while the positions are those of the comparison, then read again.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from projector.log.topics import cluster_of, require_topics
from projector.replay.generations.choice import TO_VERIFY, choose
from projector.replay.progress import Show, silent
from projector.replay.verify.bucket_check import BucketCheck
from projector.replay.verify.difference import Difference, Kind, Note
from projector.replay.verify.moment import Found, Moments
from projector.replay.verify.replayed_log import Offsets, ReplayedLog
from projector.replay.verify.second_fold import SecondFold
from projector.replay.verify.stored import StoredGeneration
from projector.replay.whole import require_whole
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog
from projector.store.live import LogIdentity, check_is_ours
from schemas.redis_layout import FOLD_VERSION
from service.errors import CommandError
from service.redis import AnyRedis


@dataclass(frozen=True, slots=True)
class Options:
    """Which generation (None: the live one), what fraction of its jobs, and whether to mend what differs.

    `trust_log`: mend also where the log seems to be another one than was folded, or to have lost its end. `at_least`:
    positions by partition that a generation which is still being filled gets to first.
    """

    generation: int | None = None
    fraction: float = 1.0
    repair: bool = False
    trust_log: bool = False
    at_least: Offsets = field(default_factory=dict)


@dataclass(slots=True)
class Findings:
    """What came of it: how much was compared, and how much differs, by kind."""

    generation: int
    jobs: int = 0
    records: int = 0
    fold_seconds: float = 0.0
    seconds: float = 0.0
    differences: Counter[Kind] = field(default_factory=Counter)
    mended: int = 0
    notes: Counter[Note] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether everything is equal by now."""
        return self.mended == self.differences.total()

    def as_dict(self) -> dict[str, Any]:
        """Return the findings for a report."""
        return {
            "generation": self.generation,
            "jobs": self.jobs,
            "records": self.records,
            "seconds": round(self.seconds, 3),
            "differences": {str(kind): count for kind, count in self.differences.items()},
            "mended": self.mended,
            "notes": {str(note): count for note, count in self.notes.items()},
            "remarks": self.remarks,
        }

    def __str__(self) -> str:
        """Return the sentences for people."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.differences.items())
        found = f"{self.differences.total()} differences ({kinds})" if kinds else "everything equal"
        mended = f", {self.mended} of them mended" if self.mended else ""
        lines = [f"{count} jobs: {note}" for note, count in self.notes.items()]
        rate = self.records / self.fold_seconds if self.fold_seconds else 0.0
        summary = (
            f"generation {self.generation}: {self.jobs} jobs compared, {self.records} records folded "
            f"({rate:.0f}/s), in {self.seconds:.1f} s: {found}{mended}"
        )
        return "\n".join([*self.remarks, *lines, summary])


async def verify(
    settings: ProjectorSettings,
    redis: AnyRedis,
    options: Options,
    found: Found,
    show: Show = silent,
) -> Findings:
    """Compare a generation with the log; `found` is called with each difference and whether it was mended.

    Raises CommandError, ProjectorError or KafkaError.
    """
    await require_topics(settings)
    catalog = Catalog(redis, settings.redis_prefix)
    chosen = choose(await catalog.read(), TO_VERIFY, options.generation)
    pointer = chosen.pointer
    check_is_ours(pointer, LogIdentity(await cluster_of(settings), settings.kafka_topic), settings.redis_prefix)
    if pointer.fold_version != FOLD_VERSION:
        raise CommandError(
            f"generation {pointer.number} was folded by version {pointer.fold_version}, this is {FOLD_VERSION}: verify "
            "it by that version, or rebuild it by this one"
        )
    await require_whole(redis, settings.redis_prefix, pointer)
    began = time.monotonic()
    findings = Findings(pointer.number)
    log = ReplayedLog(settings, chosen.starts)
    await log.open()
    try:
        with TemporaryDirectory(prefix="verify-") as directory:
            fold = SecondFold(log, Path(directory), pointer.buckets, options.fraction)
            store = StoredGeneration(redis, settings.redis_prefix, pointer)
            await _Run(store, fold, findings, found, show).compare(catalog, options)
            fold.close()
    finally:
        await log.stop()
    findings.seconds = time.monotonic() - began
    return findings


@dataclass(frozen=True, slots=True)
class _Run:
    """One comparison, and what it tells whom."""

    store: StoredGeneration
    fold: SecondFold
    findings: Findings
    found: Found
    show: Show

    async def compare(self, catalog: Catalog, options: Options) -> None:
        """Compare bucket by bucket."""
        findings, fold = self.findings, self.fold
        fold.told = self.tell
        moments = Moments(self.store, catalog, fold, self.note, options.repair, options.trust_log, options.at_least)
        began = time.monotonic()
        for bucket in await _in_order(self.store):
            check = BucketCheck(bucket, self.store, fold, moments, self.note, options.repair)
            await moments.reach(bucket)
            findings.fold_seconds = findings.fold_seconds or time.monotonic() - began
            findings.records = findings.records or fold.records
            await check.run()
            findings.jobs += check.jobs
            findings.notes.update(check.notes)
        findings.remarks = [*moments.remarks(), *await moments.check_totals()]

    def tell(self) -> None:
        """Show how far it is."""
        log = self.fold.log
        self.show({**log.next, "jobs": self.fold.seen}, {**log.known_ends, "jobs": self.fold.last_number})

    def note(self, difference: Difference, is_mended: bool) -> None:  # noqa: FBT001 - what Found says
        """Count a difference and hand it on."""
        self.findings.differences[difference.kind] += 1
        self.findings.mended += is_mended
        self.found(difference, is_mended)


async def _in_order(store: StoredGeneration) -> list[int]:
    """Return the buckets, what is furthest behind first: the second fold only goes forward."""
    positions = [sum((await store.read(bucket)).next.values()) for bucket in range(store.pointer.buckets)]
    return sorted(range(store.pointer.buckets), key=positions.__getitem__)
