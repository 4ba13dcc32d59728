"""Holding the lease: only one process at a time changes generations."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

import structlog

from projector.closing import end
from projector.errors import LeaseHeldError, LeaseLostError, ProjectorError, StoreUnavailableError
from projector.store.catalog import LEASE_SECONDS, Catalog, Lease
from service.errors import CommandError

RENEW_SECONDS: Final = LEASE_SECONDS / 4
_LOOK_SECONDS: Final = 0.5

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def leased(catalog: Catalog, what: str) -> AsyncIterator[Lease]:
    """Yield the lease and renew it until the block is left; `what` is being done, for people.

    Raises CommandError while somebody else holds it; within the block LeaseLostError when it was lost.
    """
    holder = f"{what} (process {os.getpid()} on {socket.gethostname()})"
    lease = await _take(catalog, holder)
    block = cast("asyncio.Task[object]", asyncio.current_task())
    losses: list[ProjectorError] = []

    async def keep() -> None:
        try:
            await _keep(catalog, lease, holder)
        except ProjectorError as error:
            losses.append(error)
            block.cancel()

    keeping = asyncio.create_task(keep())
    try:
        yield lease
    except asyncio.CancelledError:
        if losses:
            block.uncancel()
            raise losses[0] from None
        raise
    finally:
        await end([keeping])
        with contextlib.suppress(ProjectorError):
            await catalog.release(lease)


async def _keep(catalog: Catalog, lease: Lease, holder: str) -> None:
    """Renew the lease until a switch ends it; a Redis that is away for a moment does no harm."""
    loop = asyncio.get_running_loop()
    renewed_at = loop.time()
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await catalog.renew(lease, holder)
            renewed_at = loop.time()
        except LeaseLostError:
            if (await catalog.read()).has_been_switched_in(lease):
                return
            raise
        except StoreUnavailableError:
            if loop.time() - renewed_at > LEASE_SECONDS:
                raise LeaseLostError from None


async def _take(catalog: Catalog, holder: str) -> Lease:
    """Return the lease; wait for one that is not renewed, because its holder died, to end."""
    loop = asyncio.get_running_loop()
    asked_at = loop.time()  # before Redis says how long it holds: a late answer must not make the end look later
    try:
        return await catalog.take_lease(holder)
    except LeaseHeldError as error:
        held = error
    ends_at = asked_at + held.seconds_left
    _log.info("waiting for another command to end", holder=held.holder, at_most_seconds=round(held.seconds_left, 1))
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            lease = await catalog.take_lease(holder)
        except LeaseHeldError as error:
            if error.lease != held.lease:
                raise CommandError(f"{error}; wait for it, or end it") from error
            continue
        if loop.time() < ends_at:  # it was given back, so its holder was alive
            await catalog.release(lease)
            raise CommandError(f"{held}; it has finished just now")
        return lease
