"""Why there is no right answer now; the text is for whoever asked."""

from typing import Final

from api.projection.standing import Freshness

NO_ANSWER_IN_TIME: Final = "no answer in time"


class UnavailableError(Exception):
    """There is no right answer now; there will be one.

    `generation` and `freshness` are of the part of the projection that says so, as far as it could be read.
    """

    generation: int | None = None
    freshness: Freshness | None = None


class StoreUnavailableError(UnavailableError):
    """Redis does not answer, or answers that it cannot serve; the reason is a short stable name."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The store cannot be read: {reason}")


class DamagedKeyError(UnavailableError):
    """A key of the projection has a wrong type; it does not say which, since whoever asks cannot mend it."""

    def __init__(self) -> None:
        super().__init__("The store is damaged here: `python -m projector verify --repair` mends it")


class DamagedJobError(UnavailableError):
    """Nothing but what is no job as it is stored would be shown."""

    def __init__(self) -> None:
        super().__init__("A job is stored damaged: `python -m projector verify --repair` mends it")


class NotReadyError(UnavailableError):
    """The projection is there, but has not caught up to what it must show."""


class UnconfirmedError(UnavailableError):
    """Nobody has said for longer than is allowed how much is missing."""


class StaleGenerationError(NotReadyError):
    """A bucket is not the one that the pointer named when it was last read."""
