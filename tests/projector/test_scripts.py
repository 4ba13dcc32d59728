"""What the scripts in Redis have in common: comparing text by its bytes, and lists of any length."""

from importlib.resources import files
from random import Random
from typing import Any

from redis.asyncio import Redis

from projector.replay.generations.sealing import seal
from projector.store.generation import Generation
from projector.store.live import Live
from schemas.redis_layout import FLOOR, META, POSITIONS, bucket_prefix
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
