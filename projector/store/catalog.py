"""The catalog: which generation is live, which others are kept, and who may change that.

One process at a time holds the lease and changes generations; each lease has an epoch, one higher than the one before.
Case 1: the holder dies. Its lease ends, and whoever comes next (another command, or a projector that meets a seal)
        raises the epoch, so that
Case 2: a holder that was only paused finds its epoch gone with its next step, and changes nothing.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

import orjson

from projector.errors import DamagedBucketError, ForeignProjectionError, LeaseHeldError, LeaseLostError
from projector.store.calls import Script, limited
from schemas.redis_layout import (
    BEGAN,
    CUTOFF,
    CUTOFF_RAISED,
    EPOCH,
    KEPT,
    KEPT_FOR,
    LEASE,
    SKIPPED,
    STARTS,
    SWITCHED,
    KeptGeneration,
    Pointer,
    incarnation_field,
    pointer_key,
)
from service.redis import AnyRedis, read_hash

LEASE_SECONDS: Final = 10.0
_LEASE_MILLISECONDS: Final = str(int(LEASE_SECONDS * 1000))


@dataclass(frozen=True, slots=True)
class State:
    """What the catalog says.

    `skipped` has for each partition, by its name, the ranges of offsets passed over by command, as start -> end.
    `began` and `starts` are of the live generation, as in KeptGeneration; `switched` is the epoch of the switch that
    made it live, 0 when none did. `cutoff` is empty when no job expires.
    """

    live: Pointer | None
    began: int
    starts: Mapping[str, int]
    kept: Mapping[int, KeptGeneration]
    skipped: Mapping[str, Mapping[int, int]]
    switched: int
    cutoff: str
    lease: str

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> Self:
        """Return what the fields of the hash say; KeyError or ValueError when they are damaged."""
        text = {name.decode(): value for name, value in fields.items()}
        kept = {
            int(name.removeprefix(KEPT)): KeptGeneration.from_json(int(name.removeprefix(KEPT)), content)
            for name, content in text.items()
            if name.startswith(KEPT)
        }
        skipped: dict[str, dict[int, int]] = {}
        for name, content in text.items():
            if name.startswith(SKIPPED):
                partition, _, start = name.removeprefix(SKIPPED).rpartition("/")
                skipped.setdefault(partition, {})[int(start)] = int(content)
        return cls(
            Pointer.from_fields(fields) if "live" in text else None,
            int(text.get(BEGAN, 0)),
            orjson.loads(text.get(STARTS, b"{}")),
            dict(sorted(kept.items())),
            skipped,
            int(text.get(SWITCHED, 0)),
            text.get(CUTOFF, b"").decode(),
            text.get(LEASE, b"").decode(),
        )

    def has_been_switched_in(self, lease: "Lease") -> bool:
        """Tell whether the live generation became that under this lease, which then ended."""
        return self.switched == lease.epoch + 1

    @property
    def next_number(self) -> int:
        """The number of a generation yet to be made."""
        return max([self.live.number if self.live else 1, *self.kept]) + 1


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to change generations, until it is lost or released."""

    token: str
    epoch: int


class Catalog:
    """The catalog of a projection's generations in Redis."""

    def __init__(self, redis: AnyRedis, prefix: str) -> None:
        self._redis = redis
        self._key = pointer_key(prefix)
        self._point, self._lease, self._end_lease, self._change, self._clock = (
            Script(redis, name)
            for name in ("catalog/point", "catalog/lease", "catalog/end_lease", "catalog/change", "clock")
        )
        self._raise_cutoff = Script(redis, "catalog/raise_cutoff")

    async def read(self) -> State:
        """Return what the catalog says; ForeignProjectionError when it is damaged."""
        try:
            async with limited():
                fields = await read_hash(self._redis, self._key)
        except DamagedBucketError as error:
            raise self._damaged(error) from error
        return self._state(fields)

    async def now(self) -> int:
        """Return the time in milliseconds of Redis' clock."""
        return int(await self._clock([self._key]))

    async def ensure(self, first: Pointer) -> State:
        """Return what the catalog says, once a generation is live."""
        try:
            answer = await self._point([self._key], [_LEASE_MILLISECONDS, *_flat(first.as_fields())])
        except DamagedBucketError as error:
            raise self._damaged(error) from error
        return self._state(dict(zip(answer[::2], answer[1::2], strict=True)))

    async def announce(self, bucket: int, incarnation: str) -> None:
        """Name the incarnation of a bucket of the live generation, so that it is read."""
        async with limited():
            await self._redis.hset(self._key, incarnation_field(bucket), incarnation)

    async def note_skipped(self, partition: str, start: int, to: int) -> None:
        """Note for every later fold of the log that a range of offsets is passed over."""
        async with limited():
            await self._redis.hset(self._key, f"{SKIPPED}{partition}/{start}", str(to))

    async def correct_skipped(self, partition: str, noted: int, start: int, to: int) -> None:
        """Note another start of a range than was noted."""
        await self.note_skipped(partition, start, to)
        async with limited():
            await self._redis.hdel(self._key, f"{SKIPPED}{partition}/{noted}")

    async def raise_cutoff(self, cutoff: str, age_seconds: int | None = None) -> str:
        """Let jobs without news since then go, unless more are let go already; return the cutoff in force.

        With the age that it was given as, where it was: so long jobs are kept without news.
        """
        age = "" if age_seconds is None else str(age_seconds)
        in_force: bytes = await self._raise_cutoff([self._key], [CUTOFF, cutoff, CUTOFF_RAISED, KEPT_FOR, age])
        return in_force.decode()

    async def take_lease(self, holder: str) -> Lease:
        """Return the lease; LeaseHeldError while somebody else has it. `holder` says to people who that is."""
        token = secrets.token_hex(8)
        answer = await self._lease([self._key], [token, _LEASE_MILLISECONDS, holder, ""])
        if answer[0] != b"ours":
            raise LeaseHeldError(answer[1].decode(), int(answer[2]))
        return Lease(token, int(answer[1]))

    async def renew(self, lease: Lease, holder: str) -> None:
        """Hold the lease for longer; LeaseLostError when it is not ours any more."""
        arguments = [lease.token, _LEASE_MILLISECONDS, holder, str(lease.epoch)]
        if (await self._lease([self._key], arguments))[0] != b"ours":
            raise LeaseLostError

    async def end_lease(self) -> tuple[int, bool]:
        """End a lease whose time is over; return the epoch and whether a lease holds."""
        epoch, is_held = await self._end_lease([self._key], [_LEASE_MILLISECONDS])
        return int(epoch), bool(is_held)

    async def change(self, lease: Lease, fields: Mapping[str, str], gone: Iterable[str] = ()) -> None:
        """Set fields and delete others, in one step; LeaseLostError when the lease is not ours any more."""
        names = list(gone)
        arguments = [lease.token, str(lease.epoch), str(len(names)), *names, *_flat(fields)]
        if await self._change([self._key], arguments) != b"changed":
            raise LeaseLostError

    async def release(self, lease: Lease) -> None:
        """Give the lease back."""
        await self.change(lease, {}, [LEASE])

    async def keep(self, lease: Lease, kept: KeptGeneration) -> None:
        """Write down a generation that is not live."""
        await self.change(lease, {f"{KEPT}{kept.pointer.number}": kept.as_json()})

    async def switch(self, lease: Lease, new: KeptGeneration, old: KeptGeneration | None) -> None:
        """Make a generation the live one and keep the old one, in one step; the lease ends with it."""
        starts = orjson.dumps(dict(new.starts)).decode()
        epoch = str(lease.epoch + 1)
        fields = {**new.pointer.as_fields(), BEGAN: str(new.began), STARTS: starts, EPOCH: epoch, SWITCHED: epoch}
        if old:
            fields[f"{KEPT}{old.pointer.number}"] = old.as_json()
        gone = [f"{KEPT}{new.pointer.number}", LEASE]
        if old:
            gone += [incarnation_field(bucket) for bucket in range(new.pointer.buckets, old.pointer.buckets)]
        await self.change(lease, fields, gone)

    async def forget(self, lease: Lease, number: int) -> None:
        """Strike out a generation that is gone."""
        await self.change(lease, {}, [f"{KEPT}{number}"])

    def _state(self, fields: Mapping[bytes, bytes]) -> State:
        try:
            return State.from_fields(fields)
        except (KeyError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> ForeignProjectionError:
        return ForeignProjectionError(
            f"{self._key} is damaged ({error}): delete it and start a projector, which folds the whole log again"
        )


def _flat(fields: Mapping[str, str]) -> Iterable[str]:
    return (item for pair in fields.items() for item in pair)
