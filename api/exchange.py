"""What passes between HTTP and those who answer: a question and its answer, as values."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple, Protocol

from multidict import CIMultiDict

JSON: Final = "application/json"
Headers = CIMultiDict[str]
# A long body, piece by piece; when one fails the answer cannot be finished.
Pieces = AsyncGenerator[bytes, None]


class NoRoomError(Exception):
    """There is no room for more of an answer: clients have left too much lying."""


class Room(Protocol):
    """How much of an answer may be in memory, of all that is unfinished in this process."""

    def share(self) -> int:
        """Return how many bytes this answer may have at hand."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Return the turn in which a part of a long answer is to be made; few are made at a time."""

    def hold(self, size: int) -> None:
        """Say how many bytes of this answer are at hand; NoRoomError when there is no room, and the answer ends."""

    def begin(self) -> None:
        """Say that the answer is sent from here on, piece by piece; NoRoomError when there is no room."""


class Question(NamedTuple):
    """Path and query string as they were sent, the `Authorization` headers, and the room there is for an answer."""

    path: str
    raw_query: str
    authorization: Sequence[str]
    room: Room


def lines_of(headers: Headers) -> bytes:
    """Return headers as the lines that go out; values are made by us, or checked, and hold no line breaks."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode()


class Answer(NamedTuple):
    """A body, whole or in pieces, and the headers that belong to it; an error is raised instead.

    `lines` are more headers of a whole body, as they go out: what many answers share is made once.
    """

    body: bytes | Pieces
    headers: Headers
    content_type: str = JSON
    lines: bytes = b""


class NoAnswerError(Exception):
    """There is no answer, as a rule for now; the text says why, and the headers belong to the refusal."""

    def __init__(self, reason: str, headers: Headers) -> None:
        super().__init__(reason)
        self.headers = headers


class Outlet(Protocol):
    """The way to the client of a stream. What is sent after the client has left goes nowhere."""

    @property
    def unsent_bytes(self) -> int:
        """How much was sent and is still here, for the client has not taken it."""

    def send(self, blocks: bytes) -> None:
        """Send at once, without waiting for the client."""

    async def taken(self) -> None:
        """Return when the client has taken the most of what was sent."""


class Stream(Protocol):
    """A stream that was granted, and holds a place until it is closed."""

    async def run(self, outlet: Outlet) -> None:
        """Tell the client what happens until the stream ends."""

    def leave(self) -> None:
        """End it: the client is gone."""

    def close(self) -> None:
        """Give its place back."""


class StreamQuestion(NamedTuple):
    """A question for a stream: besides, the last id that the client knows.

    `address` is who connected, and `forwarded` for whom, as the `X-Forwarded-For` headers say.
    """

    question: Question
    last_event_id: str | None
    address: str
    forwarded: Sequence[str]


Endpoint = Callable[[Question], Awaitable[Answer]]
# None says that there is nothing more to come, ever.
StreamEndpoint = Callable[[StreamQuestion], Stream | None]
