"""The live generation: opened, begun and adopted, on a real Redis."""

from collections.abc import Mapping

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from projector.errors import ForeignProjectionError, StoreUnavailableError
from projector.fold.batch import move
from projector.store.live import Live, LogIdentity
from schemas.redis_layout import bucket_prefix, pointer_key
from tests.support.opening import LOG, known


class LogAskedError(Exception):
    """The log was asked for its ends."""


async def not_there() -> Mapping[str, int]:
    """Refuse to tell the log's ends."""
    raise LogAskedError


async def test_another_log_is_refused(store: Live, redis: Redis, prefix: str) -> None:
    """A projector of another topic or cluster never writes into this projection."""
    assert store.generation.pointer.topic == "t"
    for other in (LogIdentity("cluster", "u"), LogIdentity("elsewhere", "t")):
        with pytest.raises(ForeignProjectionError, match="REDIS_PREFIX"):
            await Live(redis, prefix, other).open(known({}))


async def test_opening_again_keeps_what_is_there(store: Live, redis: Redis, prefix: str) -> None:
    """A second projector finds the same generation and bucket; floors of an existing bucket stay."""
    await store.apply(move("t/0", 0, 1, (0,)))
    other = Live(redis, prefix, LOG)
    await other.open(known({"t/0": 1000}))
    assert other.generation.pointer == store.generation.pointer
    assert await redis.hget(bucket_prefix(prefix, 1, 0) + "meta", "floor:t/0") == b"0"


async def test_what_is_whole_is_opened_without_the_log(store: Live, redis: Redis, prefix: str) -> None:
    """A generation is opened as it is when all of it is there, and not when its bucket or its announcement is gone."""
    other = Live(redis, prefix, LOG)
    await other.open(not_there)
    assert other.generation.pointer == store.generation.pointer
    meta = bucket_prefix(prefix, 1, 0) + "meta"
    await redis.hset(meta, "incarnation", "of another node")
    for key in (meta, pointer_key(prefix)):
        with pytest.raises(LogAskedError):
            await Live(redis, prefix, LOG).open(not_there)
        await redis.delete(key)
    with pytest.raises(LogAskedError):
        await Live(redis, prefix, LOG).open(not_there)


async def test_a_bucket_that_was_replaced_is_hidden_until_it_caught_up(store: Live, redis: Redis, prefix: str) -> None:
    """When the pointer knows another incarnation, the bucket is adopted with the log's end as its floor."""
    await redis.hset(pointer_key(prefix), "incarnation:0", "of another node")
    await store.open(known({"t/0": 7}))
    assert await redis.hget(bucket_prefix(prefix, 1, 0) + "meta", "floor:t/0") == b"7"
    assert await redis.hget(pointer_key(prefix), "incarnation:0") == store.generation.pointer.incarnations[0].encode()


async def test_a_floor_never_falls(store: Live, redis: Redis, prefix: str) -> None:
    """Raising a floor to less than it is leaves it."""
    await store.generation.buckets.raise_floors({"t/0": 9})
    await store.generation.buckets.raise_floors({"t/0": 4})
    assert await redis.hget(bucket_prefix(prefix, 1, 0) + "meta", "floor:t/0") == b"9"


async def test_redis_away_is_told() -> None:
    """A Redis that cannot be reached is one kind of error, whatever the client raises."""
    client = Redis(port=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))  # as the projector connects
    with pytest.raises(StoreUnavailableError):
        await Live(client, "nowhere", LOG).open(known({}))
    await client.aclose()
