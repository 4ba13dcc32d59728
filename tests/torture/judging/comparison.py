"""Once all is calm: what Redis holds and what the dead letters say, held against the truth."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis as RedisClient

from devstack import Redis
from projector.letters.headers import HEADER_PREFIX
from projector.store.ledger import ledgers
from schemas.redis_layout import INDEXES, JOB, POSITIONS, Pointer, bucket_prefix, partition_name, pointer_key
from service.redis import read_hash
from tests.support.refold import Content, content_of
from tests.torture.judging.anomalies import Anomaly, Name
from tests.torture.judging.truth import Truth
from tests.torture.system.servers import client

KEYS_AT_ONCE: Final = 1_000
MOST_DIFFERENCES: Final = 5  # are told in full


class Letter(NamedTuple):
    """A dead letter, its value by what it is known by."""

    key: bytes | None
    digest: bytes | None
    headers: Sequence[tuple[str, bytes]]


async def compare_projection(server: Redis, topic: str, truth: Truth) -> list[Anomaly]:
    """Return what `compare_stored` does of this server."""
    async with client(server) as redis:
        return await compare_stored(redis, topic, truth)


async def compare_stored(redis: RedisClient, topic: str, truth: Truth) -> list[Anomaly]:
    """Return where Redis differs from the log folded again, byte for byte, and ledgers that do not close."""
    stored: Content = {}
    bases = await _buckets(redis, topic)
    for base in bases:
        for key, value in (await _stored(redis, base)).items():
            stored[key] = stored.get(key, {}) | value
    positions = [await read_hash(redis, base + POSITIONS) for base in bases]
    wanted = content_of(truth.jobs)
    differences = [
        Anomaly(
            Name.LOST_EVENT if _is_less(stored.get(key), wanted.get(key)) else Name.WRONG_PROJECTION,
            f"{key} holds {stored.get(key)}, the log says {wanted.get(key)}",
        )
        for key in sorted(wanted.keys() | stored.keys())
        if stored.get(key) != wanted.get(key)
    ]
    return [*_shortened(differences), *_check_ledgers(positions, topic, truth)]


async def positions_of(server: Redis, topic: str) -> dict[int, int]:
    """Return the stored position of each partition, in the bucket that is behind the others."""
    async with client(server) as redis:
        stored = [await read_hash(redis, base + POSITIONS) for base in await _buckets(redis, topic)]
    return {
        int(name.rpartition("/")[2]): min(int(positions.get(name.encode(), 0)) for positions in stored)
        for name in ledgers(stored)
    }


def compare_letters(letters: Sequence[Letter], topic: str, truth: Truth) -> Iterator[Anomaly]:
    """Yield how the dead letters differ from the garbage in the log; a letter may be there twice."""
    found: dict[tuple[int, int], tuple[bytes | None, bytes | None]] = {}
    for letter in letters:
        headers = dict(letter.headers)
        place = [headers[HEADER_PREFIX + part].decode() for part in ("topic", "partition", "offset")]
        if place[0] != topic:
            yield Anomaly(Name.WRONG_LETTERS, f"a letter of the topic {place[0]}")
        found[int(place[1]), int(place[2])] = letter.key, letter.digest
    for where in sorted(found.keys() | truth.garbage.keys()):
        if found.get(where) != truth.garbage.get(where):
            state = "differs" if where in found and where in truth.garbage else "is missing or one too many"
            yield Anomaly(Name.WRONG_LETTERS, f"the letter of partition {where[0]}, offset {where[1]} {state}")


async def _buckets(redis: RedisClient, topic: str) -> list[str]:
    """Return what the keys of each bucket of the live generation begin with; none while there is no generation."""
    fields = await read_hash(redis, pointer_key(topic))
    if b"live" not in fields:
        return []
    pointer = Pointer.from_fields(fields)
    return [bucket_prefix(topic, pointer.number, bucket) for bucket in range(pointer.buckets)]


async def _stored(redis: RedisClient, base: str) -> Content:
    keys = [key async for key in redis.scan_iter(match=base.replace("{", "[{]") + "*", count=KEYS_AT_ONCE)]
    content: Content = {}
    for start in range(0, len(keys), KEYS_AT_ONCE):
        names = [key.decode().removeprefix(base) for key in keys[start : start + KEYS_AT_ONCE]]
        wanted = [name for name in names if name.startswith((JOB, *INDEXES))]
        pipeline = redis.pipeline(transaction=False)
        for name in wanted:
            if name.startswith(JOB):
                pipeline.hgetall(base + name)
            else:
                pipeline.zrange(base + name, 0, -1, withscores=True)
        for name, value in zip(wanted, await pipeline.execute(), strict=True):
            content[name] = _text(value)
    return content


def _text(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {field.decode(): text.decode() for field, text in value.items()}
    return {member.decode(): int(score) for member, score in value}


def _is_less(stored: dict[str, Any] | None, wanted: dict[str, Any] | None) -> bool:
    """Tell whether something that the log says is not stored."""
    return bool(wanted) and (stored is None or not stored.keys() >= (wanted or {}).keys())


def _shortened(anomalies: list[Anomaly]) -> Iterator[Anomaly]:
    yield from anomalies[:MOST_DIFFERENCES]
    if len(anomalies) > MOST_DIFFERENCES:
        yield Anomaly(anomalies[-1].name, f"and {len(anomalies) - MOST_DIFFERENCES} more keys differ")


def _check_ledgers(positions: Sequence[dict[bytes, bytes]], topic: str, truth: Truth) -> Iterator[Anomaly]:
    accounts = ledgers(positions)
    for number, end in truth.ends.items():
        account = accounts.get(partition_name(topic, number))
        if account is None or account.next != end or not account.is_closed:
            yield Anomaly(Name.OPEN_LEDGER, f"partition {number}: {account}; the log ends at {end}")
