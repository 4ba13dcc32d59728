"""What the scripts in Redis have in common: comparing text by its bytes, and lists of any length."""

from importlib.resources import files
from random import Random
from typing import Any

import pytest
from redis.asyncio import Redis

from projector.errors import CallTimeoutError, DamagedBucketError, ScriptError, StoreUnavailableError
from projector.expiry.walk import Step, count_all
from projector.fold.batch import MAX_STEP_JOBS
from projector.fold.batches import Stretch, batches
from projector.replay.generations.sealing import seal
from projector.store import calls
from projector.store.calls import limited
from projector.store.generation import Generation
from projector.store.live import Live
from schemas.redis_layout import FLOOR, LEDGER, META, POSITIONS, bucket_prefix
from tests.support.opening import LOG, known

PARTITIONS = 10_000
COMPARE = """
local answer = {}
for i = 1, #ARGV, 2 do answer[#answer + 1] = is_less(ARGV[i], ARGV[i + 1]) and 1 or 0 end
return answer
"""


async def opened(redis: Redis, prefix: str) -> Generation:
    """Return a generation whose log has as many partitions as a topic may have."""
    live = Live(redis, prefix, LOG)
    await live.open(known({f"t/{number}": number for number in range(PARTITIONS)}))
    return live.generation


def alike(random: Random) -> tuple[bytes, bytes]:
    """Return two texts that differ in one place, in length, or not at all."""
    first = bytes(random.choice(b"ab\x00\xff") for _ in range(random.choice((0, 1, 7, 8, 9, 31, 32, 33, 100, 1000))))
    second = bytearray(first)
    if second and random.random() < 0.5:
        second[random.randrange(len(second))] = random.choice(b"ab\x00\xff")
    if random.random() < 0.3:
        second += bytes(random.choice(b"a\x00") for _ in range(random.randrange(1, 20)))
    return first, bytes(second)


async def test_text_is_ordered_by_its_bytes(redis: Redis) -> None:
    """Whatever two texts have in common, the scripts order them as Python orders bytes."""
    random = Random(1)
    pairs = [pair for _ in range(1000) for pair in [alike(random)] for pair in (pair, pair[::-1])]
    script: Any = (files("projector.store") / "lua" / "bytes.lua").read_text() + COMPARE
    answer = await redis.eval(script, 0, *(text for pair in pairs for text in pair))
    assert answer == [int(first < second) for first, second in pairs]


async def test_a_bucket_of_ten_thousand_partitions_is_begun(redis: Redis, prefix: str) -> None:
    """Every partition has its floor, however many there are."""
    generation = await opened(redis, prefix)
    meta: Any = await redis.hgetall(bucket_prefix(prefix, generation.pointer.number, 0) + META)
    assert {name: meta[name] for name in meta if name.startswith(FLOOR.encode())} == {
        f"{FLOOR}t/{number}".encode(): str(number).encode() for number in range(PARTITIONS)
    }


async def test_a_bucket_of_ten_thousand_partitions_is_sealed_and_opened_again(redis: Redis, prefix: str) -> None:
    """A switch learns every position, and leaves no seal behind when it is over."""
    generation = await opened(redis, prefix)
    positions = {f"t/{number}": number for number in range(PARTITIONS)}
    fields: dict[Any, Any] = {name: str(position) for name, position in positions.items()}
    await redis.hset(bucket_prefix(prefix, generation.pointer.number, 0) + POSITIONS, mapping=fields)
    assert await seal(redis, generation, 1) == positions
    await generation.buckets.unseal(1)
    assert await generation.buckets.find(0) == (generation.pointer.incarnations[0], None)


async def test_all_else_of_a_bucket_works_with_ten_thousand_partitions(redis: Redis, prefix: str) -> None:
    """Applying, heartbeats, ledgers, standings, hiding and expiry take every partition, however many there are."""
    generation = await opened(redis, prefix)
    names = [f"t/{number}" for number in range(PARTITIONS)]
    stretches = [Stretch(name, 0, number + 1, (0,), ()) for number, name in enumerate(names)]
    made = [batch for batch in batches(stretches) if batch]
    assert max(len(batch.spans) for batch in made) == MAX_STEP_JOBS
    for batch in made:
        await generation.apply(batch)
    ends = {name: number + 1 for number, name in enumerate(names)}
    clocks = await generation.heartbeats.clocks()
    assert await generation.heartbeats.beat(ends, clocks) == {name: (end,) for name, end in ends.items()}
    assert {name: ledger.no_record for name, ledger in (await generation.ledgers()).items()} == ends
    assert {name: standing.next for name, standing in (await generation.standings(names)).items()} == {
        name: (end,) for name, end in ends.items()
    }
    await generation.buckets.raise_floors(ends)
    assert await count_all(redis, prefix, generation.pointer, "9") == Step(0, 0)


async def test_ten_thousand_damaged_partitions_are_mended(redis: Redis, prefix: str) -> None:
    """However many positions are damaged, they and their ledgers are removed, and nothing else is."""
    generation = await opened(redis, prefix)
    (key,) = generation.buckets.keys(0, POSITIONS)
    fields: dict[Any, Any] = {f"t/{number}{suffix}": "1" for number in range(PARTITIONS) for suffix in ("", *LEDGER)}
    await redis.hset(key, mapping=fields | {f"t/{number}": "rubbish" for number in range(1, PARTITIONS)})
    await generation.buckets.mend({})
    assert await redis.hgetall(key) == {name.encode(): b"1" for name in ("t/0", *(f"t/0{it}" for it in LEDGER))}


async def test_ten_thousand_partitions_of_an_archive_are_gone_on_from(redis: Redis, prefix: str) -> None:
    """An import sets where each of them stands, however many there are."""
    await redis.hset(f"{prefix}:meta", "incarnation", "one")
    fields = {f"t/{number}": str(number) for number in range(PARTITIONS)}
    flat = [text for pair in fields.items() for text in pair]
    assert await calls.Script(redis, "replay/resume")([f"{prefix}:meta", f"{prefix}:positions"], ["one", *flat]) == [
        b"set"
    ]
    stored: dict[Any, Any] = await redis.hgetall(f"{prefix}:positions")
    assert stored == {name.encode(): value.encode() for name, value in fields.items()}


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("return unpack({}, 1, 100000)", ScriptError),
        ("return nil < 1", ScriptError),
        ("return redis.call('HGET', KEYS[1], 'field')", DamagedBucketError),
        ("return redis.call('NO SUCH COMMAND')", StoreUnavailableError),
    ],
)
async def test_a_fault_of_ours_is_no_damage(
    redis: Redis, prefix: str, script: str, error: type[StoreUnavailableError]
) -> None:
    """What a script of ours fails at is told as that, and only what has a wrong type is damage, which is removed."""
    await redis.set(f"{prefix}:text", "text")
    with pytest.raises(error):
        async with limited():
            await redis.eval(script, 1, f"{prefix}:text")


@pytest.mark.parametrize("script", ["bucket/raise_floor", "bucket/unseal"])
async def test_a_stored_number_that_is_none_is_damage(redis: Redis, prefix: str, script: str) -> None:
    """A script that has to compute with something else says that it is damaged."""
    fields: dict[Any, Any] = {"sealed": "rubbish", FLOOR + "t/0": "rubbish"}
    await redis.hset(f"{prefix}:meta", mapping=fields)
    with pytest.raises(DamagedBucketError):
        await calls.Script(redis, script)(
            [f"{prefix}:meta"], [FLOOR + "t/0", "1"] if script == "bucket/raise_floor" else ["1"]
        )


async def test_a_call_without_an_answer_in_time_is_told_as_that(
    redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sent too much at once can tell it from a Redis that refuses."""
    monkeypatch.setattr(calls, "CALL_TIMEOUT_SECONDS", 0.05)
    with pytest.raises(CallTimeoutError):
        async with limited():
            await redis.blpop([f"{prefix}:nothing"], 1)
