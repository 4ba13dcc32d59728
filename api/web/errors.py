"""Why what arrives is no request that anything here answers."""

from api.exchange import NoRoomError


class WebError(Exception):
    """A request ends here; the text quotes nothing of it."""


class BadRequestError(WebError):
    """It is not HTTP as it is spoken here."""


class NotFoundError(WebError):
    """Nothing is at that path."""

    def __init__(self) -> None:
        super().__init__("Not found")


class MethodNotAllowedError(WebError):
    """The path knows other methods only."""

    def __init__(self, allowed: str) -> None:
        super().__init__(f"Method not allowed: use one of {allowed}")
        self.allowed = allowed


class InternalError(WebError):
    """The fault is ours; what it is stands in the log."""

    def __init__(self) -> None:
        super().__init__("Internal error")


class BusyError(WebError, NoRoomError):
    """Clients have left too much lying of what was answered."""

    def __init__(self) -> None:
        super().__init__("Too many long answers are waiting to be read: ask again, or for less at once")
