"""Which generation is live: the pointer in Redis, read once and remembered for a moment."""

import asyncio
from typing import Final

from api.projection.generation import Generation, Latest, generation
from api.projection.store import Store
from schemas.redis_layout import pointer_key

POINTER_VALID_SECONDS: Final = 1.0
# While the pointer may be about to change it is read again this often.
SUSPECT_POINTER_VALID_SECONDS: Final = 0.05


class Live:
    """Knows the live generation."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._latest = Latest()
        self._generation: Generation | None = None
        self._valid_until = 0.0
        self._reading: asyncio.Task[Generation] | None = None

    def known(self) -> Generation | None:
        """Return the live generation when it was read less than a second ago."""
        return self._generation if asyncio.get_running_loop().time() < self._valid_until else None

    async def read(self) -> Generation:
        """Read the live generation now; UnavailableError when there is none.

        Those who ask at the same moment share one call.
        """
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._forget_reading)
        # The call is everybody's: one request that is cancelled must not take it from the others.
        return await asyncio.shield(self._reading)

    def suspect(self) -> None:
        """Have the pointer read again soon."""
        soon = asyncio.get_running_loop().time() + SUSPECT_POINTER_VALID_SECONDS
        self._valid_until = min(self._valid_until, soon)

    async def _read(self) -> Generation:
        fields = await self._store.read_hash(pointer_key(self._prefix))
        self._generation = None
        renewed = generation(self._prefix, fields)
        self._latest.check(renewed)
        self._generation = renewed
        self._valid_until = asyncio.get_running_loop().time() + POINTER_VALID_SECONDS
        return self._generation

    def _forget_reading(self, reading: asyncio.Task[Generation]) -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # everybody who waited has it; perhaps nobody did
