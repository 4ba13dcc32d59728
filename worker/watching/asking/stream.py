"""The stream of a query: its events, taken into what is known of the query.

Case 1: the stream says `end`: all jobs of the query are finished, and there is nothing more to hear.
Case 2: it says `bye`: the server closes, and the next one goes on after the last event.
Case 3: it ends without a word, or falls silent: contact is lost, and what happened meanwhile is asked for.
The last event's id is kept in all cases, also that of blocks which have nothing but an id.
"""

from typing import Any, Final, NamedTuple

import orjson
from httpx_sse import ServerSentEvent, SSEError

from worker.watching.asking.api import Api
from worker.watching.asking.contact import Contact, Say
from worker.watching.asking.errors import NoAnswerError
from worker.watching.job import Job, JobKey, of_status
from worker.watching.matches import Matches

NO_CONTENT: Final = 204
FIRST_RETRY_SECONDS: Final = 2.0
MAX_RETRY_SECONDS: Final = 30.0


class Bye(NamedTuple):
    """Why a stream was over."""

    reason: str


ENDED: Final = Bye("end")


class Stream:
    """Listens to a query, one connection after the other."""

    def __init__(self, api: Api, matches: Matches, say: Say) -> None:
        """Begin at the beginning: with a snapshot."""
        self._api = api
        self._matches = matches
        self._say = say
        self._last_id = ""
        self._parts: list[Job] = []
        self.retry_seconds = FIRST_RETRY_SECONDS

    async def listen(self, contact: Contact) -> Bye:
        """Listen until the stream says that it is over; NoAnswerError when it breaks."""
        self._parts = []
        async with self._api.stream(self._matches.query, self._last_id) as source:
            if source.response.status_code == NO_CONTENT:
                return ENDED
            try:
                async for event in source.aiter_sse():
                    contact.is_there()
                    if bye := self._take(event):
                        return bye
            except SSEError as error:
                raise NoAnswerError(str(error)) from error
        raise NoAnswerError("the stream broke off")

    def _take(self, event: ServerSentEvent) -> Bye | None:
        """Take in one event; return why it is the last one, if it is."""
        try:
            bye = self._understood(event.event, orjson.loads(event.data)) if event.data else None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._last_id = ""  # what it said is not known: a snapshot will tell
            raise NoAnswerError(f"the stream sent what is no event of it: {event.event!r}, {error!r}") from error
        self._last_id = event.id or self._last_id
        if event.retry is not None:
            self.retry_seconds = min(event.retry / 1000, MAX_RETRY_SECONDS)
        return bye

    def _understood(self, kind: str, data: Any) -> Bye | None:
        """Take in what an event says; kinds that are not known are passed over."""
        if kind == "snapshot":
            self._snapshot(data)
        elif kind == "status":
            self._matches.show(of_status(int(data["attempt"]), data["job"]))
        elif kind == "gone":
            self._matches.drop(JobKey(data["owner"], data["agreementId"], data["jobId"], int(data["attempt"])))
        elif kind == "stale":
            self._say(_stale(data.get("since"), data.get("lag")))
        elif kind == "fresh":
            self._say("what is shown is confirmed again")
        elif kind == "reset":
            self._say(f"the stream begins anew: {data.get('reason')}")
        elif kind == "end":
            return ENDED
        elif kind == "bye":
            return Bye(str(data.get("reason")))
        return None

    def _snapshot(self, data: Any) -> None:
        is_last = isinstance(data, list) or bool(data["last"])
        jobs = data if isinstance(data, list) else data["jobs"]
        self._parts += [of_status(int(one["attempt"]), one["job"]) for one in jobs]
        if is_last:
            found, self._parts = self._parts, []
            self._matches.show_all(found)


def _stale(since: object, lag: object) -> str:
    """Return that nobody confirms what is shown, and since when and how many events are missing, if that is known."""
    known = f" since {since}" if since else ""
    return f"what is shown may be old: nobody has confirmed it{known}" + (
        "" if lag is None else f", {lag} events behind"
    )
