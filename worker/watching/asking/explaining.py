"""Stories beside a stream: it says where a job stands, and not how it ended, nor why it stands still."""

import asyncio
from collections.abc import Collection
from typing import Final

from worker.watching.asking.api import Api
from worker.watching.asking.contact import Contact
from worker.watching.asking.errors import NoAnswerError, NotNowError
from worker.watching.matches import Matches, Query, query_of

# Of so many jobs each one's story is asked for by itself; of more, those of the whole query at once.
MAX_ASKED_ALONE: Final = 5
STANDING_SECONDS: Final = 10.0
AGAIN_SECONDS: Final = 0.5


class Explainer:
    """Asks for the stories of a query's jobs: when one moves, and now and then while none does."""

    def __init__(self, api: Api, matches: Matches, contact: Contact) -> None:
        """Prepare it."""
        self._api = api
        self._matches = matches
        self._contact = contact

    async def run(self) -> None:
        """Explain for ever; LostContactError and RefusedError end it."""
        while True:
            try:
                await self._explain()
                pause = AGAIN_SECONDS
            except NotNowError as refusal:
                pause = self._contact.pause_until_it_pays(refusal)
            except NoAnswerError as fault:
                pause = self._contact.pause_after_fault(fault)
            await asyncio.sleep(pause)

    async def _explain(self) -> None:
        untold = self._matches.untold()
        if untold:
            await self._ask({query_of(job.key) for job in untold})
        elif self._is_due():
            await self._ask(self._standing())
        else:
            return
        self._contact.is_there()

    async def _ask(self, queries: Collection[Query]) -> None:
        """Ask each query, or when these are many the whole one."""
        for query in queries if len(queries) <= MAX_ASKED_ALONE else (self._matches.query,):
            told, _ = await self._api.timelines(query)
            for job in told:
                self._matches.show(job)

    def _is_due(self) -> bool:
        """Tell whether it is some time since anybody asked, and note that it is done now."""
        now = asyncio.get_running_loop().time()
        if now < self._matches.asked_at + STANDING_SECONDS:
            return False
        self._matches.asked_at = now
        return True

    def _standing(self) -> Collection[Query]:
        """Return what to ask: the jobs that are under way; all, when none is known, in case no stream told of one."""
        if self._matches.is_missing:
            return [self._matches.query]
        return {query_of(job.key) for job in self._matches.jobs.values() if not job.has_ended}
