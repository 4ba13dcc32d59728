"""Several processes that share one port; the kernel deals connections out to them.

The parent answers nothing. It keeps the port, starts a worker again when it dies, and ends all of them when asked to.
A worker whose parent is gone ends itself.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.process import BaseProcess
from typing import Final

import structlog

from api.app import serve_until
from api.ending import Ending
from api.metrics import MULTIPROCESS_VARIABLE
from api.settings import ApiSettings
from api.web.server import listen
from service.command_line import run_async
from service.listening import is_any_address
from service.logs import configure_logs

MAX_WORKERS: Final = 64
RESTART_PAUSE_SECONDS: Final = 1.0
# Longer than a worker takes to let its requests finish, shorter than whoever runs us waits.
END_SECONDS: Final = 9.0

_SPAWN: Final = multiprocessing.get_context("spawn")
_log = structlog.get_logger(__name__)


async def serve_with_workers(settings: ApiSettings, count: int) -> None:
    """Keep workers running until SIGTERM or SIGINT; ServiceUnavailableError when the port is taken."""
    ending = Ending()
    ending.listen()
    with _reserved_port(settings.api_host, settings.api_port) as port, _shared_metrics():
        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(_keep_running(settings, port, ending))


async def _keep_running(settings: ApiSettings, port: int, ending: Ending) -> None:
    asked = asyncio.create_task(ending.asked())
    while not asked.done():
        worker = _SPAWN.Process(target=_work, args=(settings, port))
        worker.start()
        async with _watched(worker) as ended:
            await asyncio.wait((ended, asked), return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                await _end(worker, ended, ending, settings.api_drain_seconds)
            else:
                worker.join()  # it closes what we watch a moment before its exit code is there
                _log.error("a worker died and is started again", pid=worker.pid, ended=_ending(worker.exitcode))
                await asyncio.wait((asked,), timeout=RESTART_PAUSE_SECONDS)


def _ending(exit_code: int | None) -> str:
    """Return how a process ended: by which signal, or with which exit code."""
    return signal.Signals(-exit_code).name if exit_code and exit_code < 0 else f"exit code {exit_code}"


async def _end(worker: BaseProcess, ended: asyncio.Task[bool], ending: Ending, drain_seconds: float) -> None:
    """Have a worker end as we were asked to, and at once when we are asked so meanwhile."""
    over = asyncio.create_task(ending.over(drain_seconds))
    if not ending.is_over:
        worker.terminate()
        await asyncio.wait((ended, over), return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    if ending.is_over and worker.is_alive() and worker.pid is not None:
        os.kill(worker.pid, signal.SIGINT)
    await asyncio.wait((ended,), timeout=END_SECONDS)
    if not ended.done():
        _log.error("a worker did not end in time and is killed", pid=worker.pid)
        worker.kill()
        await ended


@asynccontextmanager
async def _watched(worker: BaseProcess) -> AsyncIterator[asyncio.Task[bool]]:
    """Yield a task that is done when the process has ended."""
    loop, has_ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(worker.sentinel, has_ended.set)
    ended = asyncio.create_task(has_ended.wait())
    try:
        yield ended
    finally:
        loop.remove_reader(worker.sentinel)
        ended.cancel()
        worker.join()


@contextmanager
def _reserved_port(host: str, port: int) -> Iterator[int]:
    """Yield a port that only sockets which share it can use.

    Whoever shares a port of the same user is let in by the kernel, another API too; so first it is taken alone.
    """
    with listen(host, port) as alone:
        port = alone.getsockname()[1]
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Else connections of an API that has just ended keep the port for a minute.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_any_address(host):
            reserved.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        reserved.bind((host, port))
        yield port


@contextmanager
def _shared_metrics() -> Iterator[None]:
    """Have the workers keep their measurements where each of them can report those of all."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ[MULTIPROCESS_VARIABLE] = directory
        yield


def _work(settings: ApiSettings, port: int) -> None:
    configure_logs(settings.log_format)
    run_async(_serve_as_worker(settings, port))


async def _serve_as_worker(settings: ApiSettings, port: int) -> None:
    ending = Ending()
    ending.listen()
    if parent := multiprocessing.parent_process():
        asyncio.get_running_loop().add_reader(parent.sentinel, ending.hurry)
    await serve_until(ending, settings, listen(settings.api_host, port, is_shared=True))
