"""Sealing: a generation is not written any more while another one takes its place, and that one goes on from there."""

from functools import partial
from typing import Any, cast

from projector.store.buckets import Offsets
from projector.store.calls import Script, check, limited, understood
from projector.store.generation import Generation
from schemas.redis_layout import FLOOR, HEARTBEATS, META, POSITIONS, Heartbeat, number_in
from service.redis import AnyRedis


async def seal(redis: AnyRedis, generation: Generation, epoch: int) -> dict[str, int]:
    """Stop all writing; return for each partition the furthest position that a bucket has reached."""
    script = Script(redis, "replay/seal")
    reached: dict[str, int] = {}
    for bucket, incarnation in enumerate(generation.pointer.incarnations):
        answer = await script(generation.buckets.keys(bucket, META, POSITIONS), [incarnation, str(epoch)])
        check(answer)
        with understood():
            for name, value in zip(answer[1::2], answer[2::2], strict=True):
                if b"#" not in name:
                    reached[name.decode()] = max(number_in(value), reached.get(name.decode(), 0))
    return reached


async def floors_of(generation: Generation) -> dict[str, int]:
    """Return for each partition what must be reached before the generation may be read."""
    floors: dict[str, int] = {}
    for meta in await generation.buckets.each(partial(generation.buckets.read, name=META)):
        with understood():
            for field, value in meta.items():
                if field.startswith(FLOOR.encode()):
                    name = field.decode().removeprefix(FLOOR)
                    floors[name] = max(number_in(value), floors.get(name, 0))
    return floors


async def take_heartbeats(redis: AnyRedis, source: Generation, target: Generation, reached: Offsets) -> None:
    """Have the target know what the source knows of the log's ends, which lie at least where that has come to."""
    stored = await source.buckets.read(0, HEARTBEATS)
    known = {}
    with understood():
        for name, value in stored.items():
            heartbeat = Heartbeat.of(value)
            if heartbeat.end is not None:
                heartbeat = heartbeat._replace(end=max(heartbeat.end, reached.get(name.decode(), 0)))
            known[name.decode()] = heartbeat.stored
    for bucket in target.buckets.numbers if known else ():
        (key,) = target.buckets.keys(bucket, HEARTBEATS)
        async with limited():
            await redis.hset(key, mapping=cast("dict[Any, Any]", known))
