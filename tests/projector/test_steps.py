"""A batch in several steps: together they are the batch, wherever they end."""

import pytest
from redis.asyncio import Redis

from projector.errors import DamagedBucketError, DamagedKeyError
from projector.fold.batch import MAX_SENT_CHARACTERS, MAX_STEP_JOBS, ONE_STEP, Batch
from projector.fold.batches import Stretch, batches
from projector.replay.follow import filled_generation
from projector.replay.follow.filled_generation import FilledGeneration
from projector.store.catalog import Catalog
from projector.store.generation import Generation, Part, Prepared
from projector.store.live import Live
from projector.store.steps import STEPS_AT_ONCE, sent_together
from schemas.identity import job_member
from schemas.redis_layout import BUILDING, COMPLETE, FOLD_VERSION, JOB, META, KeptGeneration, Pointer
from tests.support.batched import batch_of, dump
from tests.support.events import event, record
from tests.support.opening import LOG, known

JOBS, STAGES, MOST_JOBS = 10, ("started", "running"), 4
NAME = "t/0"
EVENTS = [event(stage, job=f"job-{number}") for stage in STAGES for number in range(JOBS)]
STRETCH = Stretch(NAME, 0, 2 * JOBS, (0,), ())


def batch() -> Batch:
    """Return a batch of two events of each job, and a dead letter."""
    return batch_of(*EVENTS, b"rubbish")


async def opened(redis: Redis, prefix: str) -> Generation:
    """Return a generation that is empty."""
    store = Live(redis, prefix, LOG)
    await store.open(known({NAME: 0}))
    return store.generation


async def test_steps_add_up_to_their_batch(redis: Redis, prefix: str) -> None:
    """What they store of jobs, positions and ledger is what one step stores, and each has as many jobs as it may."""
    contents = []
    for name, most_jobs, steps in (("whole", None, 1), ("steps", MOST_JOBS, 3), ("exact", JOBS, 1), ("many", 1, JOBS)):
        generation = await opened(redis, f"{prefix}:{name}")
        prepared = await generation.prepare(batch(), most_jobs)
        assert len(prepared[0].packed) == steps
        assert await generation.write(prepared) == JOBS
        ledger = (await generation.ledgers())[NAME]
        assert (ledger.applied, ledger.dead_lettered, ledger.is_closed) == (2 * JOBS, 1, True)
        contents.append((await dump(redis, f"{prefix}:{name}"), await generation.standings([NAME])))
    assert all(content == contents[0] for content in contents)


async def test_steps_that_redis_does_not_know_yet_are_run(redis: Redis, prefix: str) -> None:
    """Of several that are sent at once none is lost when Redis has forgotten the script."""
    generation = await opened(redis, prefix)
    await redis.script_flush()
    assert await generation.write(await generation.prepare(batch(), 1)) == JOBS
    assert (await generation.ledgers())[NAME].is_closed


async def test_one_step_of_several_that_fails_is_told(redis: Redis, prefix: str) -> None:
    """The others may be applied, but not the last one, which moves the position."""
    generation = await opened(redis, prefix)
    member = job_member(next(iter(batch().jobs)).job.identity)
    (key,) = generation.buckets.keys(0, JOB + member)
    await redis.set(key, "no hash")
    with pytest.raises(DamagedKeyError) as told:
        await generation.write(await generation.prepare(batch(), 1))
    assert told.value.member == member
    assert (await generation.standings([NAME]))[NAME].next == (0,)


async def test_what_redis_says_of_one_step_of_several_is_understood(redis: Redis, prefix: str) -> None:
    """What is damaged beside the jobs is told as that, as it is by a step that is sent alone."""
    generation = await opened(redis, prefix)
    (key,) = generation.buckets.keys(0, META)
    await redis.delete(key)
    await redis.set(key, "no hash")
    with pytest.raises(DamagedBucketError, match=r"^WRONGTYPE"):
        await generation.write(await generation.prepare(batch(), 1))


def test_only_so_much_is_sent_at_once() -> None:
    """Neither many steps nor much, unless one alone is much; all are sent, in their order."""
    small, large = b"s", b"l" * MAX_SENT_CHARACTERS
    many = [small] * (2 * STEPS_AT_ONCE + 1)
    assert [len(group) for group in sent_together(many)] == [STEPS_AT_ONCE, STEPS_AT_ONCE, 1]
    assert list(sent_together([small, large, small, small, large])) == [[small], [large], [small, small], [large]]
    assert list(sent_together([])) == []


@pytest.mark.parametrize("done", [1, 2])
async def test_a_batch_whose_last_step_is_missing_is_joined_in_again(redis: Redis, prefix: str, done: int) -> None:
    """Whoever dies between steps leaves a position that has not moved, and the same batch completes all of it."""
    whole = await opened(redis, f"{prefix}:whole")
    await whole.apply(batch())
    generation = await opened(redis, prefix)
    part = (await generation.prepare(batch(), MOST_JOBS))[0]
    await generation.write({0: Part(part.packed[:done], part.spans)})
    assert (await generation.standings([NAME]))[NAME].next == (0,)
    await generation.write(await generation.prepare(batch(), MOST_JOBS))
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
    for how_far in (reached, 1000):
        filled.reached = {NAME: how_far}
        assert steps_of(await prepared_by(filled)) == steps


async def test_a_batch_close_behind_is_small(redis: Redis, prefix: str) -> None:
    """Far behind a batch may have many steps, but for its refused events; close behind it is one, of few jobs."""
    filled = FilledGeneration(redis, prefix, Pointer(2, 1, FOLD_VERSION, LOG.cluster, LOG.topic, ("second",)))
    assert filled.limits([STRETCH]) == ONE_STEP  # not known to be new
    filled._is_new = True  # noqa: SLF001 - as when it was opened
    filled.reached = {NAME: 10**9}
    assert filled.limits([STRETCH]).jobs > ONE_STEP.jobs
    many = list(batches([rubbish(3 * MAX_STEP_JOBS)], filled.limits([STRETCH])))
    assert {len(each.refused) for each in many if each} == {MAX_STEP_JOBS}
    filled.reached = {NAME: 0}
    assert filled.limits([STRETCH]).jobs < ONE_STEP.jobs


async def prepared_by(filled: FilledGeneration) -> Prepared:
    """Return the batch of all events within the limits that it is given."""
    whole = batch()
    whole.limits = filled.limits([STRETCH])
    return await filled.prepare(whole)


def rubbish(count: int) -> Stretch:
    """Return a stretch of nothing but records that are refused."""
    return Stretch(NAME, 0, count, (0,), [record(offset, b"rubbish") for offset in range(count)])


def steps_of(prepared: Prepared) -> int:
    """Return how many steps the bucket is sent."""
    return len(prepared[0].packed)
