"""Redis behind Sentinel: the client asks the sentinels for the primary whenever it connects."""

from typing import Any, Final
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.sentinel import Sentinel

from service.redis_tls import TLS_OPTIONS
from service.redis_url import PROTOCOL_OPTION, SENTINEL_PASSWORD, SENTINEL_USER, servers_in

SENTINEL_SUFFIX: Final = "+sentinel"


class _PrimaryOfSentinels(Redis):
    """The client of a primary; it closes the connections to the sentinels too."""

    async def aclose(self, *how: bool | None) -> None:
        await super().aclose(*how)
        pool: Any = self.connection_pool
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def through_sentinels(url: str, sentinel_seconds: float, **options: Any) -> Redis:
    """Return a client of the primary that sentinels name; each of these gets so long to answer."""
    parts = urlsplit(url)
    servers = servers_in(url)
    name, _, number = parts.path.strip("/").partition("/")
    user, _, _ = parts.netloc.rpartition("@")
    scheme = parts.scheme.replace(SENTINEL_SUFFIX, "", 1)
    plain = f"{scheme}://{user}{'@' if user else ''}primary/{number or 0}?{parts.query}"
    primary: dict[str, Any] = dict(parse_url(plain))
    primary.pop("host")
    tls = {"ssl": primary.pop("connection_class", None) is not None}
    credentials = {"username": primary.pop(SENTINEL_USER, None), "password": primary.pop(SENTINEL_PASSWORD, None)}
    shared = {option: value for option, value in primary.items() if option in {*TLS_OPTIONS, PROTOCOL_OPTION}}
    limits = {"socket_timeout": sentinel_seconds, "socket_connect_timeout": sentinel_seconds}
    new_manager: Any = Sentinel
    manager = new_manager(servers, sentinel_kwargs=options | shared | credentials | limits | tls)
    client: Redis = manager.master_for(name, _PrimaryOfSentinels, **options | primary | tls)
    return client
