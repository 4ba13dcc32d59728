"""Moments: a bucket read at one moment, and the second fold taken to exactly the positions of that moment."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from projector.errors import PositionMovedError
from projector.fold.record import fingerprint_offset
from projector.replay.generations.choice import TO_VERIFY, able
from projector.replay.lost import lost_ranges
from projector.replay.verify.difference import Difference, Kind
from projector.replay.verify.judgement import Rules
from projector.replay.verify.replayed_log import Offsets
from projector.replay.verify.second_fold import SecondFold
from projector.replay.verify.stored import Asked, Mends, Moment, StoredGeneration
from projector.store.catalog import Catalog, State
from projector.store.ledger import ledgers
from schemas.redis_layout import FINGERPRINT
from service.errors import CommandError

# How long positions may stay below those that another bucket had, or that were there before Redis lost writes.
PATIENCE_SECONDS: Final = 60.0
TOLD_AFTER_SECONDS: Final = 1.0  # a bucket that is a batch behind another one is nothing to tell
_LOOK_SECONDS: Final = 0.05

Found = Callable[[Difference, bool], None]


@dataclass(frozen=True, slots=True)
class Options:
    """Which generation (None: the live one), and whether to mend what differs.

    `trust_log`: mend also where the log seems to be another one than was folded, or to have lost its end. `directory`:
    where the second fold has room (None: the system's temporary one). `at_least`: positions by partition that a
    generation which is still being filled gets to first. `processes`: how many fold and compare beside the one that
    reads (None: as many as are worth it).
    """

    generation: int | None = None
    repair: bool = False
    trust_log: bool = False
    directory: Path | None = None
    at_least: Offsets = field(default_factory=dict)
    processes: int | None = None


@dataclass(slots=True)
class Moments:
    """Reads a generation such that what is read and the second fold are of the same positions."""

    store: StoredGeneration
    catalog: Catalog
    fold: SecondFold
    found: Found
    options: Options
    _state: State | None = None
    _beyond: set[tuple[int, str]] = field(default_factory=set)

    async def reach(self, bucket: int, asked: Sequence[Asked] = ()) -> Moment:
        """Return a moment of a bucket, the second fold standing there; CommandError when that cannot be."""
        began = time.monotonic()
        looks = 0
        while True:
            if looks > 1:  # what the first brought may have been read ahead, so the second follows at once
                await asyncio.sleep(_LOOK_SECONDS)
            looks += 1
            moment = await self.store.read(bucket, asked)
            # After the positions: what they have passed over by command is in the catalog before they have.
            state = self._checked(await self.catalog.read())
            to = await self._within_the_log(bucket, moment)
            wanted = {name: max(at, self.options.at_least.get(name, 0)) for name, at in self.fold.log.next.items()}
            behind = [f"{name} at {to.get(name, 0)}" for name, at in wanted.items() if to.get(name, 0) < at]
            if not behind:
                await self._advance(bucket, moment, to, state)
                return moment
            waited = time.monotonic() - began
            if waited > PATIENCE_SECONDS:
                raise CommandError(
                    f"bucket {bucket} stands behind what was compared already ({', '.join(behind)}) and does not come "
                    "nearer: start a projector, and run verify again when it has caught up"
                )
            if waited > TOLD_AFTER_SECONDS:
                self.fold.told("a projector")

    @property
    def rules(self) -> Rules:
        """What a job of the moment may lack."""
        state = self._state
        return Rules(state.cutoff if state else "", self.fold.log.starts, bool(self._lost()))

    def remarks(self) -> list[str]:
        """Return what cannot be checked any more."""
        return [
            f"{name}: events {start} to {end - 1} are gone from the log, so what they reported cannot be checked"
            for name, (start, end) in self._lost().items()
        ]

    def has_lost(self, name: str) -> bool:
        """Tell whether events that the generation counted are gone from a partition of the log."""
        return name in self._lost()

    def is_within(self, bucket: int, name: str) -> bool:
        """Tell whether the position of a partition was found within the log."""
        return (bucket, name) not in self._beyond

    async def closed_ledgers(self) -> frozenset[str]:
        """Return the partitions whose counts in all buckets sum up to the position, where there are several buckets."""
        buckets = range(self.store.pointer.buckets)
        if len(buckets) == 1:
            return frozenset()
        accounts = ledgers([(await self.store.read(bucket)).positions for bucket in buckets])
        return frozenset(name for name, account in accounts.items() if account.is_settled and account.is_closed)

    async def check_totals(self) -> list[str]:
        """Hold the sums of all buckets against the positions where the log has lost what each bucket counted."""
        buckets = range(self.store.pointer.buckets)
        names = [name for name in self._lost() if len(buckets) > 1]
        accounts = ledgers([(await self.store.read(bucket)).positions for bucket in buckets]) if names else {}
        for name in names:
            account = accounts.get(name)
            if account and not account.is_closed:
                self.found(Difference(Kind.LEDGER, name, stored=str(account), log=str(account.next)), False)  # noqa: FBT003 - what Found says
        apart = [name for name in names if name in accounts and not accounts[name].is_settled]
        return [f"{name}: the buckets stand apart, so its ledger cannot be checked now" for name in apart]

    def _checked(self, state: State) -> State:
        self._state = state
        number = self.store.pointer.number
        if number not in able(state, TO_VERIFY):
            raise CommandError(f"generation {number} was dropped meanwhile")
        return state

    async def _within_the_log(self, bucket: int, moment: Moment) -> dict[str, int]:
        """Return the positions, or the log's end where one is beyond it; that is a difference."""
        stored = moment.next
        ends = await self.fold.log.ends_of(stored)
        beyond = {name: ends[name] for name, offset in stored.items() if offset > ends[name]}
        if not beyond:
            return {name: offset for name, offset in stored.items() if name in self.fold.log.next}
        differences = {
            name: Difference(Kind.POSITION, self.place(bucket, name), "", str(stored[name]), str(end))
            for name, end in beyond.items()
        }
        self._distrust(differences.values())
        is_mended = self.options.repair and await self._set(
            bucket, moment, {name: str(end) for name, end in beyond.items()}
        )
        for name, difference in differences.items():
            if (bucket, name) not in self._beyond:
                self.found(difference, is_mended)
            if not is_mended:
                self._beyond.add((bucket, name))
        return {name: min(offset, ends[name]) for name, offset in stored.items() if name in self.fold.log.next}

    async def _advance(self, bucket: int, moment: Moment, to: Offsets, state: State) -> None:
        """Take the second fold there, and hold the records applied last against those that the log has in their place.

        Not where the log has lost it, and not where somebody has changed the position alone.
        """
        log = self.fold.log
        applied = {
            name: text
            for name, text in moment.fingerprints.items()
            if max(log.next.get(name, 0), log.starts.get(name, 0)) <= fingerprint_offset(text) < to.get(name, 0)
        }
        self.fold.watched = {name: fingerprint_offset(text) for name, text in applied.items()}
        await self.fold.advance(to, state.skipped)
        differences: dict[str, Difference] = {}
        right: dict[str, str] = {}
        for name, text in applied.items():
            there = self.fold.fingerprints.pop(name, None)
            if there != text:
                differences[name] = Difference(Kind.REPLACED, self.place(bucket, name), "", text, there)
                right[name + FINGERPRINT] = there or ""
        if not differences:
            return
        self._distrust(differences.values())
        is_mended = self.options.repair and await self._set(bucket, moment, right)
        for difference in differences.values():
            self.found(difference, is_mended)

    def _distrust(self, differences: Iterable[Difference]) -> None:
        """Raise CommandError rather than mend by a log that is not the one that was folded."""
        if self.options.repair and not self.options.trust_log:
            for difference in differences:
                self.found(difference, False)  # noqa: FBT003 - what Found says
            raise CommandError(
                "the log is not the one that was folded, or has lost its end, so nothing more is mended: what is "
                "stored may be the last that is left. Export it first (`python -m projector export`); when the log is "
                "right, mend with --trust-log"
            )

    def place(self, bucket: int, name: str) -> str:
        """Return what names a partition's fields in a bucket."""
        return name if self.store.pointer.buckets == 1 else f"{name} in bucket {bucket}"

    async def _set(self, bucket: int, moment: Moment, positions: Mapping[str, str]) -> bool:
        try:
            await self.store.mend(bucket, moment, Mends(positions=positions))
        except PositionMovedError:
            return False
        return True

    def _lost(self) -> dict[str, tuple[int, int]]:
        """Return the ranges that are gone from the log though the generation counted them."""
        log = self.fold.log
        return lost_ranges(log.starts, self._state.skipped if self._state else {}, log.begins)
