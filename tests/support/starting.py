"""APIs in this process, each on a free port."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from api.app import running
from api.ending import Ending
from api.settings import ApiSettings
from api.web.server import address_of, listen
from tests.support.client import Client, StartApi


@asynccontextmanager
async def starting(redis_url: str) -> AsyncIterator[StartApi]:
    """Yield what starts an API with these settings; all that were started end with the block."""
    async with AsyncExitStack() as stack:

        async def start(prefix: str, **settings: str) -> Client:
            environment = {"REDIS_URL": redis_url, "REDIS_PREFIX": prefix} | settings
            listener = listen("127.0.0.1", 0)
            await stack.enter_async_context(running(ApiSettings.load(environment), listener, Ending()))
            return await stack.enter_async_context(Client(address_of(listener)))

        yield start
