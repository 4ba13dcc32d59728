"""What passes between HTTP and those who answer: a question and its answer, as values."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from multidict import CIMultiDict

JSON: Final = "application/json"
Headers = CIMultiDict[str]
# A long body, piece by piece; when one fails the answer cannot be finished.
Pieces = AsyncGenerator[bytes, None]


class Question(NamedTuple):
    """Path and query string as they were sent, and the `Authorization` headers."""

    path: str
    raw_query: str
    authorization: Sequence[str]


class Answer(NamedTuple):
    """A body, whole or in pieces, and the headers that belong to it; an error is raised instead."""

    body: bytes | Pieces
    headers: Headers
    content_type: str = JSON


Endpoint = Callable[[Question], Awaitable[Answer]]
