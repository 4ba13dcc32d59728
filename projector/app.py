"""The one place that builds the projector's clients and hands them in."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

import structlog
from aiohttp import web
from aiokafka.errors import KafkaError

from projector import cycles, upkeep
from projector.assignment.assignment import Assignment
from projector.assignment.gaps import Gap, pass_over
from projector.closing import close, end
from projector.diagnosing.census import Census
from projector.errors import ForeignProjectionError
from projector.expiry.collector import Collector
from projector.heartbeat import Heartbeat
from projector.letters.headers import Decision
from projector.letters.writer import DeadLetterWriter, new_producer
from projector.log.consumer import Log
from projector.log.retention import RetentionWatch
from projector.log.topics import cluster_of, require_group, require_topics
from projector.metrics import Metrics
from projector.projector import Projector
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog
from projector.store.live import Live, LogIdentity
from projector.store.memory import EvictionWatch, require_primary
from projector.upkeep import Duty
from projector.watchdog import Watchdog
from schemas.diagnosis.limits import limits_of
from service.errors import ServiceUnavailableError
from service.health import Check, Remark, health_routes
from service.kafka import start_client, why_unusable
from service.listening import cause_of, listening_socket
from service.redis import AnyRedis, address, connect
from service.signals import stop_on_signals
from service.version import __version__

# With CLOSE_SECONDS for each client less than the 10 seconds that a supervisor waits.
FINISH_SECONDS: Final = 4.0

_log = structlog.get_logger(__name__)


async def run_projector(settings: ProjectorSettings) -> None:
    """Project until SIGTERM or SIGINT, then finish the batch at hand.

    Raises ServiceUnavailableError when Kafka or Redis cannot be reached or used in time.
    """
    async with AsyncExitStack() as stack:
        redis, store, log, letters = await _clients(settings, stack)
        metrics = Metrics()
        eviction, retention = EvictionWatch(redis, address(settings)), RetentionWatch(settings)
        assignment = _assignment(settings, redis, log, store, letters)
        projector = Projector(log, store, letters, assignment, metrics)
        heartbeat = Heartbeat(projector, assignment, log, store)
        beats = [
            Duty(1, heartbeat.beat),
            Duty(1, partial(upkeep.show_heartbeat, heartbeat, metrics)),
            Duty(1, partial(upkeep.show_positions, assignment, metrics)),
            Duty(1, Watchdog(projector, heartbeat, assignment).look),
        ]
        # Beside the heartbeat, which must not wait for them.
        duties = [
            Duty(5, partial(upkeep.commit, log, assignment)),
            Duty(5, partial(upkeep.look_for_damage, store, projector)),
            Duty(5, partial(upkeep.account, store, projector, metrics)),
            Duty(5, partial(upkeep.look_for_eviction, eviction, metrics)),
            Duty(1, partial(upkeep.show_retention, retention, metrics)),
            Duty(30, upkeep.free_cycles),
        ]
        collector = Collector(redis, settings.redis_prefix, store, metrics.jobs_collected)
        limits = limits_of(settings.stage_limits)
        census = Census(redis, settings.redis_prefix, store, limits, metrics, is_due=lambda: assignment.has_first)
        checks = _checks(projector, heartbeat, assignment, eviction, retention)
        await stack.enter_async_context(_health_server(settings, checks, metrics))
        is_asked_to_end = stop_on_signals()
        cycles.free_only_when_told()
        await _join(log, settings)
        _log.info("projecting", topic=settings.kafka_topic, group=settings.kafka_group_id, version=__version__)
        beside = (upkeep.keep_up(beats), upkeep.keep_up(duties), collector.run(), census.run(), retention.run())
        await _run_together(projector, is_asked_to_end, *beside)
        _log.info("stopped", applied=assignment.applied)


def _assignment(
    settings: ProjectorSettings, redis: AnyRedis, log: Log, store: Live, letters: DeadLetterWriter
) -> Assignment:
    catalog = Catalog(redis, settings.redis_prefix)

    async def accept(gap: Gap) -> None:
        await pass_over(gap, store.generation, catalog, letters, Decision.SETTING)

    return Assignment(log, store, accept if settings.kafka_accept_truncated_log else None)


async def _join(log: Log, settings: ProjectorSettings) -> None:
    try:
        await log.join()
    except (KafkaError, TimeoutError) as error:
        raise ServiceUnavailableError(await why_unusable(settings, error)) from error


async def _clients(settings: ProjectorSettings, stack: AsyncExitStack) -> tuple[AnyRedis, Live, Log, DeadLetterWriter]:
    await require_topics(settings, within_seconds=settings.start_timeout_seconds)
    await require_group(settings)
    cluster = await cluster_of(settings)
    redis = connect(settings)
    stack.push_async_callback(close, redis.aclose)
    await require_primary(redis, settings)
    producer = new_producer(settings)
    await start_client(producer, settings)
    letters = DeadLetterWriter(producer, settings.dead_letter_topic)
    stack.push_async_callback(close, letters.stop)
    log = Log(settings.kafka_topic, settings.kafka_group_id, settings.kafka_client_options())
    await start_client(log, settings)
    stack.push_async_callback(close, log.stop)
    store = Live(redis, settings.redis_prefix, LogIdentity(cluster, settings.kafka_topic))
    return redis, store, log, letters


async def _run_together(
    projector: Projector, is_asked_to_end: asyncio.Event, *others: Coroutine[Any, Any, None]
) -> None:
    """Run the projector and what runs beside it; what ends one ends all, and the reason is raised as it is."""
    beside = [asyncio.create_task(other) for other in others]
    folding = asyncio.create_task(projector.run())
    stopping = asyncio.create_task(is_asked_to_end.wait())
    await asyncio.wait({*beside, folding, stopping}, return_when=asyncio.FIRST_COMPLETED)
    projector.stop()
    for task in (*beside, stopping):
        task.cancel()
    try:
        async with asyncio.timeout(FINISH_SECONDS):
            await folding
    except TimeoutError:
        _log.warning(
            "stopped in the middle of a batch: Kafka or Redis does not answer; it is applied by the next start"
        )
    except ForeignProjectionError as error:
        raise ServiceUnavailableError(str(error)) from error
    finally:
        await end(beside)
        for task in beside:
            if not task.cancelled():
                task.result()


def _checks(
    projector: Projector,
    heartbeat: Heartbeat,
    assignment: Assignment,
    eviction: EvictionWatch,
    retention: RetentionWatch,
) -> dict[str, Check]:
    async def folding() -> str | None:
        return projector.trouble

    async def confirming() -> str | None:
        return heartbeat.trouble

    async def partitions() -> str | None:
        held = [f"{name} is held: {reason}" for name, reason in assignment.held.items()]
        blocked = [
            f"{item.name} is blocked by a transaction: {item.watermark - item.applied} records wait until it ends"
            for item in assignment.partitions.values()
            if item.is_blocked
        ]
        return "; ".join(held + blocked) if held else Remark("; ".join(blocked)) if blocked else None

    async def keeping() -> str | None:
        return eviction.trouble

    async def retaining() -> str | None:
        return retention.trouble

    return {
        "projector": folding,
        "heartbeat": confirming,
        "partitions": partitions,
        "redis memory": keeping,
        "log retention": retaining,
    }


@asynccontextmanager
async def _health_server(
    settings: ProjectorSettings, checks: dict[str, Check], metrics: Metrics
) -> AsyncIterator[None]:
    app = web.Application()
    app.add_routes(health_routes(checks, metrics.registry))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listening_socket(settings.metrics_host, settings.metrics_port)).start()
    except OSError as error:
        await runner.cleanup()
        raise ServiceUnavailableError(
            f"METRICS_PORT {settings.metrics_port} cannot be used on METRICS_HOST {settings.metrics_host} "
            f"({cause_of(error)}): set another one, or 0"
        ) from error
    try:
        yield
    finally:
        await runner.cleanup()
