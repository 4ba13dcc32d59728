"""Keeping up with a query: by its stream, and by asking where there is none, or while it does not hold."""

import asyncio
from typing import Final

from worker.watching.asking.api import Api
from worker.watching.asking.contact import Contact, Say
from worker.watching.asking.errors import NoAnswerError, NotNowError, NotOfferedError
from worker.watching.asking.stream import ENDED, Stream
from worker.watching.matches import Matches

# A stream that broke so often in a row, or that the server has no room for, is left alone for a while.
MAX_BREAKS: Final = 3
REST_SECONDS: Final = 60.0
NO_ROOM: Final = "limit"


class Follower:
    """Keeps what is known of one query up to date, until there is nothing more to learn."""

    def __init__(self, api: Api, matches: Matches, contact: Contact, say: Say) -> None:
        """Prepare it."""
        self._api = api
        self._matches = matches
        self._contact = contact
        self._say = say
        self._stream = Stream(api, matches, say)
        self._breaks = 0
        self._listen_after = 0.0
        self._pause = 0.0
        self.has_ended = False

    async def run(self) -> None:
        """Follow until all has ended; LostContactError and RefusedError end it before."""
        while not self.has_ended:
            try:
                pause = await (self._listen() if self._is_to_listen() else self._ask())
            except NotNowError as refusal:
                pause = self._contact.pause_until_it_pays(refusal)
            except NoAnswerError as fault:
                pause = self._contact.pause_after_fault(fault)
            await asyncio.sleep(pause)

    def _is_to_listen(self) -> bool:
        """Tell whether to try the stream: not while nobody answers at all."""
        return self._contact.faults == 0 and asyncio.get_running_loop().time() >= self._listen_after

    async def _listen(self) -> float:
        """Listen, and return how long to wait; a stream that breaks is no fault before asking fails too."""
        try:
            bye = await self._stream.listen(self._contact)
        except NotOfferedError:
            self._listen_after = float("inf")
            self._say("no stream here: asking again and again")
            return 0
        except NoAnswerError as error:
            self._breaks += 1
            if self._breaks >= MAX_BREAKS:
                self._rest(str(error))
            return await self._ask()
        self._breaks = 0
        self.has_ended = bye == ENDED
        if bye.reason == NO_ROOM:
            self._rest("the server has as many streams as it can hold")
            return 0
        return 0 if self.has_ended else self._stream.retry_seconds

    async def _ask(self) -> float:
        """Ask where all jobs stand, and return how long to wait."""
        jobs, pause = await self._api.timelines(self._matches.query)
        self._contact.is_there()
        self._matches.show_all(jobs)
        self._matches.asked_at = asyncio.get_running_loop().time()
        return 0 if self._is_to_listen() else pause

    def _rest(self, why: str) -> None:
        self._listen_after = asyncio.get_running_loop().time() + REST_SECONDS
        self._say(f"asking again and again for a while: {why}")
