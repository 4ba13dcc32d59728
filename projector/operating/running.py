"""Running a command: what it needs is there, and what can happen to it becomes a sentence with an exit code."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

from aiokafka.errors import KafkaError

from projector.closing import end, to_the_end
from projector.errors import DeadLetterError, ProjectorError, StoreUnavailableError
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog
from projector.store.memory import require_redis
from schemas.redis_layout import BUILDING, DROPPING, IMPORTING
from service.command_line import run_async
from service.errors import CommandError, ServiceUnavailableError, StoppedError
from service.kafka import unreachable as kafka_unreachable
from service.logs import configure_logs
from service.redis import AnyRedis, connect
from service.redis import unreachable as redis_unreachable
from service.signals import stop_on_signals

# What a generation is that a command has left in this state.
LEFT: Final = {
    BUILDING: "is half built, and the next rebuild goes on with it",
    IMPORTING: "is half imported, and the next import removes it",
    DROPPING: "is half deleted, and the next drop of it, or rebuild, deletes the rest",
}
# What a command takes at most to put things away; after that it is told again to end.
TOLD_AGAIN_SECONDS = 20.0


def run_on_redis(settings: ProjectorSettings, main: Callable[[AnyRedis], Awaitable[None]]) -> None:
    """Run a command on the projection in Redis to its end, or until SIGTERM or SIGINT.

    What it holds is given back in any case, and what can happen to it becomes a CommandError.
    """
    configure_logs(settings.log_format)

    async def connected() -> None:
        redis = connect(settings)
        try:
            await require_redis(redis, settings)
            with as_command_errors(settings):
                await main(redis)
        except asyncio.CancelledError:
            # A signal that ended a wait (replay/archive/waiting.py) reaches us once more, as any does.
            raise StoppedError(await to_the_end(_where_it_stopped(settings, redis))) from None
        finally:
            await redis.aclose()

    run_until_told(connected())


def run_until_told(command: Coroutine[Any, Any, None]) -> None:
    """Run a command to its end, or until SIGTERM or SIGINT: it is cancelled then, and may say what became of it."""
    run_async(_until_told(command))


async def _until_told(command: Coroutine[Any, Any, None]) -> None:
    running = asyncio.create_task(command)
    told = asyncio.create_task(stop_on_signals().wait())
    await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    await end([running], TOLD_AGAIN_SECONDS)
    with contextlib.suppress(asyncio.CancelledError):
        return running.result()
    raise StoppedError("stopped before anything was done")


async def _where_it_stopped(settings: ProjectorSettings, redis: AnyRedis) -> str:
    """Return what a command leaves behind that was told to end, as the catalog knows it."""
    try:
        state = await Catalog(redis, settings.redis_prefix).read()
    except ProjectorError:
        return "stopped: Redis does not say what is live; look at `python -m projector generations`"
    live = f"generation {state.live.number} is live" if state.live else "nothing is live"
    left = [f"generation {number} {LEFT[kept.state]}" for number, kept in state.kept.items() if kept.state in LEFT]
    return "; ".join([f"stopped: {live}", *left])


@contextmanager
def as_command_errors(settings: ProjectorSettings) -> Iterator[None]:
    """Turn what can happen to a command into a CommandError, whose text says what to do."""
    try:
        yield
    except StoreUnavailableError as error:
        raise ServiceUnavailableError(redis_unreachable(settings, error)) from error
    except DeadLetterError as error:
        raise ServiceUnavailableError(str(error)) from error
    except ProjectorError as error:
        raise CommandError(str(error) or type(error).__doc__) from error
    except KafkaError as error:
        raise ServiceUnavailableError(kafka_unreachable(settings, error)) from error
