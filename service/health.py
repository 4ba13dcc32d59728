"""Health over HTTP: `/livez` asks nothing of others, `/readyz` asks every check, `/metrics` is for Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST


class Remark(str):
    """A sentence that is worth reading, though all is well."""

    __slots__ = ()


# A check returns None when all is well, a Remark when there is something to say of that, else what is wrong.
Check = Callable[[], Awaitable[str | None]]
CHECK_TIMEOUT_SECONDS = 0.8


def health_routes(checks: Mapping[str, Check], registry: CollectorRegistry) -> list[web.RouteDef]:
    """Return the routes `/livez`, `/readyz` (`?verbose`: one line for each check) and `/metrics`."""

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(request: web.Request) -> web.Response:
        faults = await asyncio.gather(*(_ask(check) for check in checks.values()))
        lines = [_line(name, fault) for name, fault in zip(checks, faults, strict=True)]
        is_ready = not any(map(_is_fault, faults))
        if "verbose" not in request.query:
            lines = [line for line, fault in zip(lines, faults, strict=True) if _is_fault(fault)]
        text = "\n".join([*lines, "ready" if is_ready else "not ready"]) + "\n"
        if is_ready:
            return web.Response(text=text)
        return web.Response(text=text, status=503, headers={"Retry-After": "1"})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]


async def _ask(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_SECONDS} s"
    except Exception as error:  # noqa: BLE001 - a check that fails says not ready, and does not hide the others
        return f"{type(error).__name__}: {error}"


def _is_fault(said: str | None) -> bool:
    return bool(said) and not isinstance(said, Remark)


def _line(name: str, said: str | None) -> str:
    """Return the one line of a check, whatever it quotes."""
    if not said:
        return f"[+] {name}: ok"
    return f"[{'-' if _is_fault(said) else '!'}] {name}: {' '.join(said.split())}"
