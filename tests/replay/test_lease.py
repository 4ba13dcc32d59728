"""The lease on the generations, on a real Redis: whose it is, and until when."""

import asyncio
from dataclasses import replace

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from projector.errors import LeaseHeldError, LeaseLostError
from projector.replay.generations import lease
from projector.replay.generations.lease import leased
from projector.store.catalog import LEASE_SECONDS, Catalog
from projector.store.live import Live
from schemas.redis_layout import COMPLETE, FOLD_VERSION, LEASE, KeptGeneration, Pointer, pointer_key
from tests.support.opening import LOG, known

DAY_MILLISECONDS = 24 * 3600 * 1000
HOLDER = "rebuild (process 7 on elsewhere)"
FIRST = Pointer(1, 1, FOLD_VERSION, "cluster", "t", ())


async def leave_lease(redis: Redis, prefix: str, milliseconds: int) -> Catalog:
    """Have somebody who died hold the lease for so long; return the catalog."""
    catalog = Catalog(redis, prefix)
    await redis.hset(pointer_key(prefix), LEASE, f"token {await catalog.now() + milliseconds} {HOLDER}")
    return catalog


async def test_a_lease_that_ends_later_than_any_can_is_over(redis: Redis, prefix: str) -> None:
    """After Redis' clock was set back by a day nobody waits until tomorrow for one who died."""
    catalog = await leave_lease(redis, prefix, DAY_MILLISECONDS)
    taken = await catalog.take_lease("drop")
    await catalog.release(taken)
    await leave_lease(redis, prefix, DAY_MILLISECONDS)
    assert await catalog.end_lease() == (taken.epoch + 1, False)
    await leave_lease(redis, prefix, DAY_MILLISECONDS)
    assert (await catalog.ensure(FIRST)).live is not None


async def test_a_holder_whose_clock_was_set_back_changes_nothing_once_another_came(redis: Redis, prefix: str) -> None:
    """It may renew a lease that only looks too long, and has lost it when another one took it meanwhile."""
    catalog = Catalog(redis, prefix)
    taken = await catalog.take_lease("rebuild")
    await redis.hset(pointer_key(prefix), LEASE, f"{taken.token} {await catalog.now() + DAY_MILLISECONDS} rebuild")
    await catalog.renew(taken, "rebuild")
    with pytest.raises(LeaseHeldError):
        await catalog.take_lease("drop")
    await redis.hset(pointer_key(prefix), LEASE, f"{taken.token} {await catalog.now() + DAY_MILLISECONDS} rebuild")
    await catalog.take_lease("drop")
    with pytest.raises(LeaseLostError):
        await catalog.renew(taken, "rebuild")


@pytest.mark.parametrize("milliseconds", [500, int(LEASE_SECONDS * 1000)])
async def test_a_lease_as_long_as_leases_are_holds(redis: Redis, prefix: str, milliseconds: int) -> None:
    """Nobody takes it, and no projection is begun meanwhile."""
    catalog = await leave_lease(redis, prefix, milliseconds)
    with pytest.raises(LeaseHeldError, match="process 7 on elsewhere"):
        await catalog.take_lease("drop")
    assert (await catalog.end_lease())[1]
    assert (await catalog.ensure(FIRST)).live is None


async def test_whoever_waits_says_for_whom_and_how_long(redis: Redis, prefix: str) -> None:
    """One who died keeps the next command waiting for seconds, which it says before it waits."""
    await Live(redis, prefix, LOG).open(known({}))
    catalog = await leave_lease(redis, prefix, 1200)
    with capture_logs() as logs:
        async with leased(catalog, "drop"):
            pass
    (waiting,) = [line for line in logs if line["event"].startswith("waiting")]
    assert waiting["holder"] == HOLDER
    assert 0 < waiting["at_most_seconds"] <= 1.2


async def test_a_lease_that_a_switch_has_ended_is_not_lost(
    redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who renews it after the switch finds that it has done its work; after anybody else's that it was lost."""
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    await Live(redis, prefix, LOG).open(known({}))
    catalog = Catalog(redis, prefix)
    target = KeptGeneration(replace(FIRST, number=2, incarnations=("second",)), COMPLETE, 0)
    async with leased(catalog, "rebuild") as ours:
        await catalog.switch(ours, target, None)
        await asyncio.sleep(0.3)

    async def lose() -> None:
        async with leased(catalog, "rebuild"):
            await redis.hdel(pointer_key(prefix), LEASE)
            await asyncio.sleep(5)

    with pytest.raises(LeaseLostError):
        await lose()
