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
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from projector.log.topics import cluster_of, require_topics
from projector.operating.progress import Show, Stage, silent
from projector.replay.generations.change import changing
from projector.replay.generations.choice import LIVE, TO_VERIFY, choose
from projector.replay.verify.bucket_check import BucketCheck
from projector.replay.verify.difference import Difference, Findings
from projector.replay.verify.moment import Found, Moments, Options
from projector.replay.verify.parallel.processes import processes
from projector.replay.verify.replayed_log import ReplayedLog
from projector.replay.verify.scratch import Scratch, scratch
from projector.replay.verify.second_fold import SecondFold
from projector.replay.verify.stored import StoredGeneration
from projector.replay.verify.walk import SpooledKeys
from projector.replay.whole import require_whole
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog
from projector.store.keys import keys_by_bucket
from projector.store.live import LogIdentity, check_is_ours
from schemas.redis_layout import FOLD_VERSION
from service.errors import CommandError
from service.redis import AnyRedis


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
    is_kept = chosen.state != LIVE
    store = StoredGeneration(redis, settings.redis_prefix, pointer, is_kept=is_kept)
    log = ReplayedLog(settings, chosen.starts)
    async with _allowed(redis, settings.redis_prefix, is_needed=is_kept and options.repair):
        with scratch(options.directory) as place:
            await log.open()
            try:
                keys = SpooledKeys(place.database, settings.redis_prefix, pointer.number)
                show({}, {}, Stage(f"finds the keys of generation {pointer.number}", "keys"))
                await keys.take(keys_by_bucket(redis, settings.redis_prefix, pointer))
                positions = await _positions(store)
                with processes(options.processes, max(positions)) as beside:
                    fold = SecondFold(log, place.database, pointer.buckets, beside)
                    run = _Run(store, keys, fold, Findings(pointer.number), found, show)
                    # What is furthest behind first: the second fold only goes forward.
                    order = sorted(range(pointer.buckets), key=positions.__getitem__)
                    return await run.compare(catalog, options, place, order)
            finally:
                await store.close()
                await log.stop()


@asynccontextmanager
async def _allowed(redis: AnyRedis, prefix: str, *, is_needed: bool) -> AsyncIterator[None]:
    """Keep others from switching, dropping and filling, where that is needed.

    One that is kept is sealed since it was retired, so nobody writes it but who holds the lease. It is mended as of
    where it stands, so that a rollback goes on from there.
    """
    if is_needed:
        async with changing(redis, prefix, "verify --repair"):
            yield
    else:
        yield


@dataclass(slots=True)
class _Run:
    """One comparison, and what it tells whom."""

    store: StoredGeneration
    keys: SpooledKeys
    fold: SecondFold
    findings: Findings
    found: Found
    show: Show
    room: str = ""
    is_folded: bool = False

    async def compare(self, catalog: Catalog, options: Options, place: Scratch, buckets: Sequence[int]) -> Findings:
        """Compare bucket by bucket."""
        findings, fold = self.findings, self.fold
        began = time.monotonic()
        self.room = place.require_room(self.keys.jobs)
        fold.told = self.tell
        moments = Moments(self.store, catalog, fold, self.note, options)
        self.tell()
        for bucket in buckets:
            check = BucketCheck(bucket, self.store, self.keys, fold, moments, self.note, options.repair)
            await moments.reach(bucket)
            self.is_folded = True
            self.tell()
            findings.fold_seconds = findings.fold_seconds or time.monotonic() - began
            findings.records = findings.records or fold.records
            await check.run()
            findings.jobs += check.jobs
            findings.notes.update(check.notes)
        findings.remarks = [*moments.remarks(), *await moments.check_totals()]
        findings.seconds = time.monotonic() - began
        return findings

    def tell(self, waits: str = "") -> None:
        """Show how far it is, and what it waits for."""
        if not self.is_folded:
            log = self.fold.log
            self.show(log.next, log.known_ends, Stage(f"folds the log again, {self.room}", waits=waits))
            return
        done = {"jobs": self.fold.compared.count, "index keys": self.keys.index_keys_given}
        totals = {"jobs": max(self.fold.last_number, self.keys.jobs), "index keys": self.keys.index_keys}
        self.show(
            done,
            totals,
            Stage(f"compares generation {self.findings.generation} with the log", "jobs and index keys", waits),
        )

    def note(self, difference: Difference, is_mended: bool) -> None:  # noqa: FBT001 - what Found says
        """Count a difference and hand it on."""
        self.findings.differences[difference.kind] += 1
        self.findings.mended += is_mended
        self.found(difference, is_mended)


async def _positions(store: StoredGeneration) -> list[int]:
    """Return how many records each bucket is a fold of, about."""
    return [sum((await store.read(bucket)).next.values()) for bucket in range(store.pointer.buckets)]
