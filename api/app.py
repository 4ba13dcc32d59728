"""The one place that builds the API's clients and hands them in."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog

from api.access_log import AccessLog
from api.asking.applied import Applied
from api.asking.at_once import AtOnce
from api.asking.checks import check_projection
from api.asking.continuing import CONTINUING_HEADERS
from api.asking.credentials import Credentials
from api.asking.freshness import FRESHNESS_HEADERS
from api.asking.jobs import Jobs
from api.asking.telling import Statuses, Timelines
from api.ending import Ending
from api.following.follower import Follower
from api.metrics import Metrics
from api.projection.buckets import Buckets
from api.projection.gone import GoneJobs
from api.projection.live import Live
from api.projection.projection import Projection
from api.projection.reader import Reader
from api.projection.store import NODE_RETRIES, NODE_SECONDS, Store
from api.refusals import REFUSALS
from api.settings import ApiSettings
from api.stream_metrics import StreamMetrics
from api.streams.addresses import Proxies
from api.streams.limits import Most, Places
from api.streams.reading import Reading
from api.streams.streams import Streams
from api.streams.tickets import Tickets
from api.web.connections import Connections, most_connections, room_for_connections
from api.web.documents import asyncapi_document, event_schema_document, openapi_document
from api.web.headers import CommonHeaders
from api.web.routes import Route, asked, document, giving, handled, streaming
from api.web.server import address_of, listen, serving
from api.web.site import Site
from api.web.status_page import status_page
from schemas.diagnosis.limits import limits_of
from schemas.documents import STATUS_PATH, STREAM_PATH, TICKET_PATH, TIMELINE_PATH
from schemas.redis_layout import pointer_key
from service.diagnosis.redis import diagnose
from service.health import Check, health_routes
from service.redis import REDIS_FAULTS, AnyRedis, connect, read_hash, sentence
from service.version import __version__

# Requests make no cycles to speak of, and a collection stops everything; but no garbage stays for ever.
GARBAGE_THRESHOLDS: Final = (20_000, 10, 10)
# How long Redis may take to answer at the start before the log says why it does not.
LOOK_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


async def serve(settings: ApiSettings) -> None:
    """Serve until SIGTERM, after which it drains, or SIGINT; then finish the requests at hand.

    ServiceUnavailableError when the port is taken. Redis need not be there: until it is, answers are 503.
    """
    ending = Ending()
    ending.listen()
    await serve_until(ending, settings, listen(settings.api_host, settings.api_port))


async def serve_until(ending: Ending, settings: ApiSettings, listener: socket.socket) -> None:
    """Serve on a listening socket until it is asked to end, drain, then finish the requests at hand."""
    async with running(settings, listener, ending) as listen_no_more:
        _tune_garbage_collection()
        _log.info("listening", address=address_of(listener), version=__version__)
        await ending.asked()
        if not ending.is_over:
            _log.info("draining", seconds=settings.api_drain_seconds)
            await ending.over(settings.api_drain_seconds)
        if not ending.is_over:
            await listen_no_more()


@asynccontextmanager
async def running(
    settings: ApiSettings, listener: socket.socket, ending: Ending
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Answer on a listening socket until the block ends; yields what closes the listener gently before that."""
    redis = connect(settings, node_seconds=NODE_SECONDS, node_retries=NODE_RETRIES)
    metrics = Metrics()
    store = Store(redis, metrics)
    reader = Reader(Buckets(store, metrics, settings.max_staleness_seconds))
    live = Live(store, settings.redis_prefix)
    projection = Projection(live, reader)
    follower = Follower(live, reader, metrics)
    common = CommonHeaders(settings.cors_origins(), (*FRESHNESS_HEADERS, *CONTINUING_HEADERS))
    credentials = Credentials(settings.admin_tokens(), is_required=settings.api_auth == "required")
    timelines = Timelines(limits_of(settings.stage_limits), GoneJobs(store, settings.redis_prefix))
    access_log = AccessLog(settings.api_access_log, credentials.role)
    streams = _streams(settings, follower, Reading(projection, reader), metrics.streams, credentials)
    applied = Applied(follower, settings.api_after_seconds)
    answered = routes(credentials, projection, metrics, ending, timelines=timelines, applied=applied)
    paths = answered | stream_routes(streams)
    site = Site(paths, REFUSALS, common, metrics, access_log=access_log, ending=ending)
    connections = Connections(metrics, room_for_connections(most_connections(settings.api_streams)))
    telling = asyncio.create_task(_tell_why_unusable(redis, settings))
    following = asyncio.create_task(follower.run())
    try:
        async with serving(site, listener, connections, settings.api_keepalive_seconds) as listen_no_more:
            try:
                yield listen_no_more
            finally:
                streams.end()
    finally:
        telling.cancel()
        following.cancel()
        await reader.close()
        await redis.aclose()


async def _tell_why_unusable(redis: AnyRedis, settings: ApiSettings) -> None:
    """Log what is wrong with a Redis that cannot be read at the start, and what to change; readers are told little."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await read_hash(redis, pointer_key(settings.redis_prefix))
    except REDIS_FAULTS as error:
        _log.warning(sentence(settings, await diagnose(settings, error)))


def routes(
    credentials: Credentials,
    projection: Projection,
    metrics: Metrics,
    ending: Ending,
    *,
    timelines: Timelines,
    applied: Applied,
) -> dict[str, Route]:
    """Return everything there is, by path."""
    checks: dict[str, Check] = {
        "process": ending.check,
        "redis": projection.check_redis,
        "projection": partial(check_projection, projection, metrics),
    }
    health = {route.path: handled(route.handler) for route in health_routes(checks, metrics.registry)}
    return {
        STATUS_PATH: asked(Jobs(projection, credentials, metrics, Statuses(), applied, at_once=AtOnce(metrics)).answer),
        TIMELINE_PATH: asked(Jobs(projection, credentials, metrics, timelines, applied).answer),
        "/openapi.json": document(openapi_document()),
        "/asyncapi.json": document(asyncapi_document()),
        "/schemas/job-event.json": document(event_schema_document()),
        **{path: document(answer) for path, answer in status_page().items()},
        **health,
    }


def stream_routes(streams: Streams) -> dict[str, Route]:
    """Return what has to do with streams, by path."""
    return {STREAM_PATH: streaming(streams.open), TICKET_PATH: giving(streams.give_ticket)}


def _streams(
    settings: ApiSettings, follower: Follower, reading: Reading, metrics: StreamMetrics, credentials: Credentials
) -> Streams:
    most = Most(settings.api_streams, settings.api_streams_per_address, settings.api_streams_per_credential)
    return Streams(
        follower,
        reading,
        metrics,
        credentials=credentials,
        tickets=Tickets(settings.admin_tokens()),
        places=Places(most),
        proxies=Proxies(settings.proxies()),
        seconds=settings.api_stream_seconds,
    )


def _tune_garbage_collection() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
