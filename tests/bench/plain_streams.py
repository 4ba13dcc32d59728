"""The plain alternative to streams: an aiohttp handler with a Redis subscription for each client."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_connection
from typing import Final

from devstack import free_port
from tests.support.deployment import wait_for

HOST: Final = "127.0.0.1"
PLAIN: Final = """
import asyncio, resource, sys, uvloop
from aiohttp import web
from redis.asyncio import Redis
redis = Redis.from_url(sys.argv[2], max_connections=10_000)
async def stream(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    async with redis.pubsub() as channel:
        await channel.subscribe(request.query["owner"])
        await response.write(b"event: snapshot\\ndata: []\\n\\n")
        async for message in channel.listen():
            if message["type"] == "message":
                await response.write(b"event: status\\ndata: " + message["data"] + b"\\n\\n")
    return response
app = web.Application()
app.router.add_get("/api/v1/operator/status/events", stream)
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, backlog=4096)
"""


@contextmanager
def plain_streams(redis_url: str) -> Iterator[tuple[int, int]]:
    """Run the plain handler; yield its process id and its port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", PLAIN, str(port), redis_url], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: listens(port), "the plain handler listens")
        yield process.pid, port
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    """Tell whether somebody listens there."""
    try:
        create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True
