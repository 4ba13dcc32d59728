"""Health over HTTP: `/livez` asks nothing of others, `/readyz` asks every check, `/metrics` is for Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

# A check returns None when all is well, else a sentence.
Check = Callable[[], Awaitable[str | None]]
CHECK_TIMEOUT_SECONDS = 0.8


def health_routes(checks: Mapping[str, Check], registry: CollectorRegistry) -> list[web.RouteDef]:
    """Return the routes `/livez`, `/readyz` (`?verbose`: one line for each check) and `/metrics`."""

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(request: web.Request) -> web.Response:
        faults = await asyncio.gather(*(_ask(check) for check in checks.values()))
        lines = [
            f"[{'-' if fault else '+'}] {name}: {fault or 'ok'}" for name, fault in zip(checks, faults, strict=True)
        ]
        is_ready = not any(faults)
        shown = lines if "verbose" in request.query else [line for line in lines if line.startswith("[-]")]
        text = "\n".join([*shown, "ready" if is_ready else "not ready"]) + "\n"
        return web.Response(
            text=text, status=200 if is_ready else 503, headers={} if is_ready else {"Retry-After": "1"}
        )

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]


async def _ask(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_SECONDS} s"
