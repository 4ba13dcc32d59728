"""Checking one bucket: its jobs, those it lacks, its index entries, its ledger and floors."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from projector.errors import PositionMovedError
from projector.replay.verify.difference import Difference, Kind, Note
from projector.replay.verify.judgement import HASH, NONE, StoredMember, Verdict, judge, judge_refused
from projector.replay.verify.moment import Found, Moments
from projector.replay.verify.parallel.answers import Seen, see
from projector.replay.verify.parallel.processes import UnderWay
from projector.replay.verify.second_fold import SecondFold
from projector.replay.verify.stored import Asked, Mends, Moment, StoredGeneration
from projector.replay.verify.stored_form import index_keys
from projector.replay.verify.walk import SpooledKeys
from projector.store.keys import KEYS_PER_STEP
from schemas.redis_layout import FLOOR, IDENTITY_FIELDS, INDEXES, LEDGER

# How long a step may be tried again because events are applied between its comparison and its repair.
REPAIR_SECONDS: Final = 60.0

# What a difference is about, whatever is stored at the moment.
_Key = tuple[Kind, str, str]


@dataclass(slots=True)
class _Step:
    """The differences of one step: all that were found, and of each member those left when it was looked at last."""

    found: dict[_Key, Difference] = field(default_factory=dict)
    left: dict[bytes, set[_Key]] = field(default_factory=dict)

    def look(self, differences: Sequence[Difference], member: bytes = b"") -> None:
        """Note what differs in a member by now."""
        keyed = {(one.kind, one.about, one.field): one for one in differences}
        self.left[member] = set(keyed)
        self.found = keyed | self.found

    def is_mended(self, key: _Key) -> bool:
        """Tell whether a difference was not there any more."""
        return not any(key in keys for keys in self.left.values())


@dataclass(slots=True)
class BucketCheck:
    """One bucket held against the second fold; mended where it differs, if so wished."""

    bucket: int
    store: StoredGeneration
    keys: SpooledKeys
    fold: SecondFold
    moments: Moments
    found: Found
    is_repairing: bool
    jobs: int = 0
    notes: Counter[Note] = field(default_factory=Counter)
    _wrong_typed: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Check everything."""
        compared = self.fold.compared
        compared.begin(self.bucket, self.fold.buckets)
        seen = UnderWay[list[Asked]](self.fold.processes.most)
        before: list[Asked] = []
        for members in self.keys.members(self.bucket):
            asked = [Asked(member) for member in compared.fresh(members)]
            if asked:
                self.store.begin(self.bucket, asked)
            await self._see(before, seen)
            before = asked
            self.fold.told("")
        await self._see(before, seen)
        for unlike in await seen.take(all_of_it=True):
            await self._check(unlike)
        for members in compared.left(self.fold.last_number, KEYS_PER_STEP):
            known = self.fold.jobs(self.bucket, members)
            await self._check([Asked(member, index_keys(known[member].identity)) for member in members])
            compared.fresh(members)
            self.fold.told("")
        for keys in self.keys.indexes(self.bucket):
            async for entries in self.store.surplus(self.bucket, keys):
                await self._entries(entries)
            self.fold.told("")
        await self._accounts()
        await self._refused()

    async def _see(self, asked: Sequence[Asked], seen: UnderWay[list[Asked]]) -> None:
        """Find those that are not just as the log says, and check them again, one step after the other."""
        if asked:
            moment = await self.moments.reach(self.bucket, asked)
            folded = self.fold.packed_jobs(self.bucket, moment.members)  # before the fold goes on
            begun = self.fold.processes.begin(see, moment.members, moment.answer, folded)
            seen.add(asyncio.ensure_future(self._unlike(asked, begun)))
        for unlike in await seen.take():
            await self._check(unlike)

    async def _unlike(self, asked: Sequence[Asked], begun: Awaitable[Seen]) -> list[Asked]:
        """Return those of these members that are not just as the log says, or were not answered."""
        found = await begun
        self.jobs += found.members - len(found.unlike)
        return [*(asked[at] for at in found.unlike), *asked[found.members :]]

    async def _check(self, asked: Sequence[Asked], indexes: Mapping[bytes, set[str]] | None = None) -> None:
        """Tell the differences of jobs, mended before if so wished; of these entries alone where they are given."""
        step = _Step()
        deadline = time.monotonic() + REPAIR_SECONDS
        while asked:
            moment, judged = await self._judged(asked)
            wrong, mends = [], []
            for one, (stored, verdict) in zip(asked, judged, strict=False):
                if indexes is None and one.member not in step.left:
                    self.jobs += stored.kind != NONE
                    self.notes.update([verdict.note] if verdict.note else [])
                differences = _meant(stored, verdict, indexes)
                step.look(differences, one.member)
                if differences and verdict.mend:
                    wrong.append(one)
                    mends.append(verdict.mend)
            asked = asked[len(judged) :]
            if self.is_repairing and mends and time.monotonic() < deadline:
                await self._mend(moment, Mends(jobs=mends))
                asked = [*wrong, *asked]  # read again
        self._tell(step)

    async def _judged(self, asked: Sequence[Asked]) -> tuple[Moment, list[tuple[StoredMember, Verdict]]]:
        """Return the verdicts on the first of these members, and the moment of which they are."""
        while True:
            moment = await self.moments.reach(self.bucket, asked)
            jobs = moment.jobs()
            folded = self.fold.jobs(self.bucket, [stored.member for stored in jobs])
            unclear = False
            better: list[Asked] = []
            for one, stored in zip(asked, jobs, strict=False):
                job = folded.get(one.member)
                named = index_keys(job.identity) if job else []
                unclear = unclear or not stored.entries.keys() >= set(named)
                better.append(Asked(one.member, [*dict.fromkeys((*named, *one.indexes))]))
            if not unclear:
                rules = self.moments.rules
                return moment, [(stored, judge(stored, folded.get(stored.member), rules)) for stored in jobs]
            asked = better

    async def _mend(self, moment: Moment, mends: Mends) -> None:
        try:
            await self.store.mend(self.bucket, moment, mends)
        except PositionMovedError:
            return  # it is compared again

    def _tell(self, step: _Step) -> None:
        for key, difference in step.found.items():
            if difference.kind == Kind.WRONG_TYPE and difference.field:
                self._wrong_typed.add(difference.field)
            self.found(difference, self.is_repairing and step.is_mended(key))

    async def _entries(self, entries: Mapping[str, Sequence[bytes] | str]) -> None:
        """Compare index entries that no job is known to have; those of known jobs were compared with them."""
        suspects: dict[bytes, set[str]] = {}
        for key, members in entries.items():
            if isinstance(members, str):
                await self._wrong_type(key, members)
                continue
            known = self.fold.jobs(self.bucket, members)
            for member in members:
                if member not in known or key not in index_keys(known[member].identity):
                    suspects.setdefault(member, set()).add(key)
        asked = [Asked(member, sorted(keys)) for member, keys in suspects.items()]
        await self._check(asked, suspects)

    async def _wrong_type(self, key: str, kind: str) -> None:
        if kind in {"none", "zset"} or key in self._wrong_typed:
            return
        step = _Step()
        step.look([Difference(Kind.WRONG_TYPE, "index", key, kind, None)])
        deadline = time.monotonic() + REPAIR_SECONDS
        while self.is_repairing and step.left[b""] and time.monotonic() < deadline:
            moment = await self.moments.reach(self.bucket)
            try:
                await self.store.mend(self.bucket, moment, Mends(keys=[key]))
            except PositionMovedError:
                continue
            step.look([])
        self._tell(step)

    async def _accounts(self) -> None:
        """Check that ledgers close and that floors can be reached."""
        step = _Step()
        deadline = time.monotonic() + REPAIR_SECONDS
        while True:
            moment = await self.moments.reach(self.bucket)
            ledgers = await self._ledgers(moment)
            floors = await self._floors(moment)
            step.look([*ledgers, *floors])
            if not (self.is_repairing and step.left[b""]) or time.monotonic() > deadline:
                break
            positions = {name: text for fields in ledgers.values() for name, text in fields.items()}
            meta = {name: text for fields in floors.values() for name, text in fields.items()}
            await self._mend(moment, Mends(positions=positions, meta=meta))
        self._tell(step)

    async def _refused(self) -> None:
        """Check what is remembered of refused events."""
        step = _Step()
        deadline = time.monotonic() + REPAIR_SECONDS
        while True:
            moment = await self.moments.reach(self.bucket)
            if moment.refused is None:  # it is read wherever no job is asked for
                break
            place, logged = self.moments.place(self.bucket, "refused events"), self.fold.refused(self.bucket)
            differences, right = judge_refused(place, moment.refused, logged, self.moments.rules)
            step.look(differences)
            if not (self.is_repairing and differences) or time.monotonic() > deadline:
                break
            await self._mend(moment, Mends(refused=right))
        self._tell(step)

    async def _ledgers(self, moment: Moment) -> dict[Difference, dict[str, str]]:
        """Return the ledgers that do not close, with the fields that are right.

        How the counts are divided among buckets is not promised: an import leaves those of the archive in the first.
        """
        wrong: dict[Difference, dict[str, str]] = {}
        closed: frozenset[str] | None = None
        for name, position in moment.next.items():
            is_told_apart = self.store.pointer.buckets == 1 or not self.moments.has_lost(name)
            if not (is_told_apart and self.moments.is_within(self.bucket, name)):
                continue
            stored = [moment.positions.get((name + suffix).encode(), b"0").decode() for suffix in LEDGER]
            right = self._counts(name, position)
            if not all(map(str.isdecimal, stored)) or sum(map(int, stored)) != sum(right):
                closed = await self.moments.closed_ledgers() if closed is None else closed
                if name in closed:
                    continue
                place = self.moments.place(self.bucket, name)
                difference = Difference(Kind.LEDGER, place, "", " + ".join(stored), " + ".join(map(str, right)))
                wrong[difference] = {name + suffix: str(count) for suffix, count in zip(LEDGER, right, strict=True)}
        return wrong

    def _counts(self, name: str, position: int) -> list[int]:
        """Return what the bucket's ledger sums up to: the first has what belongs to no job."""
        tally = self.fold.tally(name)
        if self.bucket:
            return [tally.events[self.bucket], 0, 0, 0]
        letters = tally.dead_letters + self.fold.log.passed.get(name, 0)
        return [tally.events[0], 0, letters, position - sum(tally.events) - letters]

    async def _floors(self, moment: Moment) -> dict[Difference, dict[str, str]]:
        """Return the floors that no position will reach, with the log's end in their place."""
        numbers = {name: int(text) for name, text in moment.floors.items() if text.isdecimal()}
        ends = await self.fold.log.ends_of(numbers)
        return {
            Difference(Kind.FLOOR, self.moments.place(self.bucket, name), "", text, str(ends.get(name, 0))): {
                FLOOR + name: str(ends.get(name, 0))
            }
            for name, text in moment.floors.items()
            if name not in numbers or numbers[name] > ends[name]
        }


def _meant(stored: StoredMember, verdict: Verdict, indexes: Mapping[bytes, set[str]] | None) -> list[Difference]:
    """Return the differences that this step is about: all, or surplus entries that were not told with their job."""
    if indexes is None:
        return verdict.differences
    named = [index + stored.fields.get(name, "") for index, name in zip(INDEXES, IDENTITY_FIELDS, strict=False)]
    return [
        difference
        for difference in verdict.differences
        if difference.kind == Kind.SURPLUS_ENTRY
        and difference.field in indexes[stored.member]
        and (difference.field not in named or stored.kind != HASH)
    ]
