"""Remembering jobs that went, so that who asks for one is told so: a courtesy, of which nothing depends on."""

import contextlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from projector.errors import ProjectorError
from projector.expiry.walk import Gone
from projector.store.calls import Script
from schemas.gone_job import GONE_DAYS, MAX_GONE, gone_entry, gone_keys
from service.redis import AnyRedis

_REMEMBERED_MILLISECONDS: Final = str(int(timedelta(days=GONE_DAYS).total_seconds() * 1000))


class GoneJobs:
    """The jobs that went from the projection under a prefix."""

    def __init__(self, redis: AnyRedis, prefix: str) -> None:
        self._keys = gone_keys(prefix)
        self._note = Script(redis, "catalog/note_gone")

    async def note(self, jobs: Iterable[Gone]) -> None:
        """Remember these, as far as Redis takes it now."""
        entries = [gone_entry(*job) for job in jobs]
        if entries:
            with contextlib.suppress(ProjectorError):
                await self._note(self._keys, [str(MAX_GONE), _REMEMBERED_MILLISECONDS, *entries])
