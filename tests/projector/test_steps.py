"""A batch in several steps: together they are the batch, wherever they end."""

import pytest
from redis.asyncio import Redis

from projector.fold.batch import Batch
from projector.replay.follow import filled_generation
from projector.replay.follow.filled_generation import FilledGeneration
from projector.store.catalog import Catalog
from projector.store.generation import Generation, Part, Prepared
from projector.store.live import Live
from schemas.redis_layout import BUILDING, COMPLETE, FOLD_VERSION, KeptGeneration, Pointer
from tests.support.batched import batch_of, dump
from tests.support.events import event
from tests.support.opening import LOG, known

JOBS, STAGES, MOST_JOBS = 10, ("started", "running"), 4
NAME = "t/0"


def batch() -> Batch:
    """Return a batch of two events of each job, and a dead letter."""
    return batch_of(*[event(stage, job=f"job-{number}") for stage in STAGES for number in range(JOBS)], b"rubbish")


async def opened(redis: Redis, prefix: str) -> Generation:
    """Return a generation that is empty."""
    store = Live(redis, prefix, LOG)
    await store.open(known({NAME: 0}))
    return store.generation


async def test_steps_add_up_to_their_batch(redis: Redis, prefix: str) -> None:
    """What they store of jobs, positions and ledger is what one step stores, and each has as many jobs as it may."""
    contents = []
    for name, most_jobs, steps in (("whole", None, 1), ("steps", MOST_JOBS, 3), ("exact", JOBS, 1)):
        generation = await opened(redis, f"{prefix}:{name}")
        prepared = generation.prepare(batch(), most_jobs)
        assert len(prepared[0].packed) == steps
        assert await generation.write(prepared) == JOBS
        ledger = (await generation.ledgers())[NAME]
        assert (ledger.applied, ledger.dead_lettered, ledger.is_closed) == (2 * JOBS, 1, True)
        contents.append((await dump(redis, f"{prefix}:{name}"), await generation.standings([NAME])))
    assert contents[0] == contents[1] == contents[2]


@pytest.mark.parametrize("done", [1, 2])
async def test_a_batch_whose_last_step_is_missing_is_joined_in_again(redis: Redis, prefix: str, done: int) -> None:
    """Whoever dies between steps leaves a position that has not moved, and the same batch completes all of it."""
    whole = await opened(redis, f"{prefix}:whole")
    await whole.apply(batch())
    generation = await opened(redis, prefix)
    part = generation.prepare(batch(), MOST_JOBS)[0]
    await generation.write({0: Part(part.packed[:done], part.spans)})
    assert (await generation.standings([NAME]))[NAME].next == (0,)
    await generation.write(generation.prepare(batch(), MOST_JOBS))
    assert await dump(redis, prefix) == await dump(redis, f"{prefix}:whole")
    ledger = (await generation.ledgers())[NAME]
    assert (ledger.next, ledger.is_closed) == (2 * JOBS + 1, True)


@pytest.mark.parametrize(
    ("state", "reached_and_steps"), [(BUILDING, (100, 3)), (BUILDING, (30, 1)), (COMPLETE, (100, 1))], ids=str
)
async def test_only_what_nobody_looks_at_is_ahead_of_its_position(
    redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch, state: str, reached_and_steps: tuple[int, int]
) -> None:
    """A generation that was live, or is to be checked soon, is filled a batch a step; once close it stays so."""
    reached, steps = reached_and_steps
    monkeypatch.setattr(filled_generation, "STEP_JOBS", MOST_JOBS)
    monkeypatch.setattr(filled_generation, "FAR_EVENTS", 50)
    store = Live(redis, prefix, LOG)
    await store.open(known({NAME: 0}))
    catalog = Catalog(redis, prefix)
    lease = await catalog.take_lease("a test")
    pointer = Pointer(2, 1, FOLD_VERSION, LOG.cluster, LOG.topic, ("second",))
    await catalog.keep(lease, KeptGeneration(pointer, state, 0))
    filled = FilledGeneration(redis, prefix, pointer)
    await filled.generation.buckets.begin(0, {}, "second")
    await filled.open(known({}))
    filled.reached = {NAME: reached}
    assert steps_of(filled.prepare(batch())) == steps
    filled.reached = {NAME: 1000}
    assert steps_of(filled.prepare(batch())) == steps


def steps_of(prepared: Prepared) -> int:
    """Return how many steps the bucket is sent."""
    return len(prepared[0].packed)
