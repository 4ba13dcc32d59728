"""All streams of a process: who is granted one, and how all of them end."""

from collections.abc import Sequence
from contextlib import ExitStack
from hashlib import blake2b

import orjson
from multidict import CIMultiDict

from api.asking.continuing import binding_of
from api.asking.credentials import Caller, Credentials
from api.exchange import Answer, Outlet, Question, Room, StreamQuestion
from api.following.follower import Follower
from api.following.position import NOWHERE, decode_id
from api.following.resets import INTERRUPTED, UNKNOWN_ID
from api.following.subscriptions import Kind
from api.stream_metrics import StreamMetrics
from api.streams.addresses import Proxies
from api.streams.endings import DRAIN
from api.streams.joining import Start
from api.streams.limits import Places
from api.streams.query import StreamQuery, parse_stream
from api.streams.reading import Reading, filter_of
from api.streams.session import Session
from api.streams.tickets import TICKET_SECONDS, Tickets
from schemas.job_status import View


class Granted:
    """A stream that was granted a place."""

    def __init__(self, session: Session, room: Room, seconds: float, place: ExitStack) -> None:
        self._session = session
        self._room = room
        self._seconds = seconds
        self._place = place

    async def run(self, outlet: Outlet) -> None:
        """Tell the client what happens until the stream ends."""
        await self._session.run(outlet, self._room, self._seconds)

    def leave(self) -> None:
        """End it: the client is gone."""
        self._session.leave()

    def close(self) -> None:
        """Give its place back."""
        self._place.close()


class Streams:
    """The endpoint that streams."""

    def __init__(
        self,
        follower: Follower,
        reading: Reading,
        metrics: StreamMetrics,
        *,
        credentials: Credentials,
        tickets: Tickets,
        places: Places,
        proxies: Proxies,
        seconds: float,
    ) -> None:
        self._follower = follower
        self._reading = reading
        self._credentials = credentials
        self._tickets = tickets
        self._places = places
        self._proxies = proxies
        self._metrics = metrics
        self._seconds = seconds
        self._sessions: set[Session] = set()
        self._is_ended = False

    def open(self, asked: StreamQuestion) -> Granted | None:
        """Grant a stream; None when the client's id says that nothing more will come. RefusedError otherwise."""
        question = asked.question
        stream = parse_stream(question.raw_query, asked.last_event_id)
        caller = self._caller(stream, question.authorization)
        query, binding = stream.query, binding_of(stream.query, caller)
        start = _start(stream, binding)
        if start is None:
            return None
        place = ExitStack()
        address = self._proxies.client_of(asked.address, asked.forwarded)
        place.enter_context(self._places.taken(address, _credential(caller, question.authorization)))
        kind = Kind(filter_of(query), query.search.digest, View(caller.is_admin, query.dates), binding)
        session = Session(self._follower, self._reading, self._metrics, query=query, kind=kind, start=start)
        self._sessions.add(session)
        place.callback(self._sessions.discard, session)
        place.enter_context(self._metrics.open())
        if self._is_ended:
            session.bye(DRAIN)
        return Granted(session, question.room, self._seconds, place)

    async def give_ticket(self, question: Question) -> Answer:
        """Give out a ticket for a stream of this query; RefusedError when there is none for who asks."""
        caller = self._credentials.caller(question.authorization)
        query = parse_stream(question.raw_query, None).query
        content = {"ticket": self._tickets.issue(caller, query.binding), "expiresIn": TICKET_SECONDS}
        return Answer(orjson.dumps(content), CIMultiDict())

    def end(self) -> None:
        """Have all clients go to another process."""
        self._is_ended = True
        for session in tuple(self._sessions):
            session.bye(DRAIN)

    def _caller(self, stream: StreamQuery, authorization: Sequence[str]) -> Caller:
        if stream.ticket is None:
            return self._credentials.caller(authorization)
        return self._tickets.take(stream.ticket, stream.query.binding)


def _start(stream: StreamQuery, binding: str) -> Start | None:
    """Return how a stream begins; None when its jobs had all ended at the id that is given."""
    if stream.last_event_id is None:
        return Start(is_from_now=stream.is_from_now)
    try:
        position, has_ended = decode_id(stream.last_event_id, binding)
    except ValueError:
        return Start(reset=UNKNOWN_ID)
    if has_ended:
        return None
    return Start(reset=INTERRUPTED) if position == NOWHERE else Start(position)


def _credential(caller: Caller, authorization: Sequence[str]) -> str | None:
    """Return what stands for who asks, where that is known; tickets count for all admins together."""
    if not caller.is_admin:
        return None
    return blake2b("".join(authorization).encode(errors="surrogateescape"), digest_size=8).hexdigest()
