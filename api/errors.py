"""Why a request is not answered as asked; each knows its status and the headers that belong to it."""

from collections.abc import Mapping
from typing import ClassVar, Final

RETRY_SECONDS: Final = 1
NO_ANSWER_IN_TIME: Final = "no answer in time"


class ApiError(Exception):
    """A request ends here; the text is for whoever asked, so it quotes nothing that could be a secret."""

    status: ClassVar[int] = 500
    headers: Mapping[str, str] = {}


class BadRequestError(ApiError):
    """The request itself is wrong; asking again the same way cannot help."""

    status = 400


class UnauthorizedError(ApiError):
    """The credentials are missing where they are needed, or are not good."""

    status = 401
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class NotFoundError(ApiError):
    """Nothing is at that path."""

    status = 404

    def __init__(self) -> None:
        super().__init__("Not found")


class MethodNotAllowedError(ApiError):
    """The path knows other methods only."""

    status = 405

    def __init__(self, allowed: str) -> None:
        super().__init__(f"Method not allowed: use one of {allowed}")
        self.headers = {"Allow": allowed}


class UnavailableError(ApiError):
    """There is no right answer now; there will be one."""

    status = 503
    headers: Mapping[str, str] = {"Retry-After": str(RETRY_SECONDS)}


class StoreUnavailableError(UnavailableError):
    """Redis does not answer, or answers that it cannot serve; `reason` is a short stable name for metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The store cannot be read: {reason}")
        self.reason = reason


class DamagedKeyError(UnavailableError):
    """A key of the projection has a wrong type; the text does not say which, since whoever asks cannot mend it."""

    def __init__(self, key: str) -> None:
        super().__init__("The store is damaged here: `python -m projector verify --repair` mends it")
        self.key = key


class NotReadyError(UnavailableError):
    """The projection is there, but has not caught up to what it must show."""


class StaleGenerationError(NotReadyError):
    """A bucket is not the one that the pointer named when it was last read."""
