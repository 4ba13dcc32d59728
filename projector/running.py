"""Running a command that works on the projection in Redis."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from projector.command_errors import as_command_errors
from projector.settings import ProjectorSettings
from projector.startup import require_redis
from service.command_line import run_async
from service.errors import CommandError
from service.logs import configure_logs
from service.redis import AnyRedis, connect
from service.signals import stop_on_signals


def run_on_redis(settings: ProjectorSettings, main: Callable[[AnyRedis], Awaitable[None]]) -> None:
    """Run a command to its end, or until SIGTERM or SIGINT; what it holds is given back in any case.

    What can happen to it becomes a CommandError.
    """
    configure_logs(settings.log_format)

    async def connected() -> None:
        redis = connect(settings)
        try:
            await require_redis(redis, settings)
            with as_command_errors(settings):
                await main(redis)
        finally:
            await redis.aclose()

    run_async(_until_told(connected()))


async def _until_told(command: Coroutine[Any, Any, None]) -> None:
    running = asyncio.create_task(command)
    told = asyncio.create_task(stop_on_signals().wait())
    await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        return await running
    raise CommandError("stopped: what is live is as it was; run the command again to go on")
