"""What each error means to a client: the one table of their status codes and of the headers that belong to them."""

from typing import Final

from api.asking.errors import BadQueryError, ExpiredJobError, NoSuchJobError, UnauthorizedError
from api.exchange import NoAnswerError
from api.projection.errors import UnavailableError
from api.streams.limits import TooManyStreamsError
from api.web.errors import BadRequestError, BusyError, InternalError, MethodNotAllowedError, NotFoundError
from api.web.responses import Refusal, Refusals

RETRY_SECONDS: Final = 1
BUSY_RETRY_SECONDS: Final = 5
STREAMS_RETRY_SECONDS: Final = 5

# A class stands for those below it.
REFUSALS: Final[Refusals] = {
    BadRequestError: Refusal(400),
    BadQueryError: Refusal(400),
    UnauthorizedError: Refusal(401, {"WWW-Authenticate": "Bearer"}),
    NotFoundError: Refusal(404),
    NoSuchJobError: Refusal(404),
    ExpiredJobError: Refusal(410),
    MethodNotAllowedError: Refusal(405),
    TooManyStreamsError: Refusal(429, {"Retry-After": str(STREAMS_RETRY_SECONDS)}),
    InternalError: Refusal(500),
    BusyError: Refusal(503, {"Retry-After": str(BUSY_RETRY_SECONDS)}),
    NoAnswerError: Refusal(503, {"Retry-After": str(RETRY_SECONDS)}),
    UnavailableError: Refusal(503, {"Retry-After": str(RETRY_SECONDS)}),
}
