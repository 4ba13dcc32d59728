"""The access log: one line for a request, which says nothing of what was asked for, nor by whom."""

from collections.abc import Callable, Sequence
from typing import Final, Literal

import structlog

Mode = Literal["off", "errors", "all"]
# Answers of this status and above are told in mode `errors`: they are ours to explain.
FIRST_ERROR: Final = 500
# What may happen to an answer on its way: its client went away; all others are our doing.
LEFT: Final = "left"
STOPPED: Final = "stopped"
TOO_SLOW: Final = "too slow"
CUT: Final = "cut"

_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT"})
_OTHER_METHOD: Final = "other"
_log = structlog.get_logger(__name__)


class AccessLog:
    """Tells of requests: of none, of those that ended badly by our doing, or of all."""

    def __init__(self, mode: Mode, role_of: Callable[[Sequence[str]], str]) -> None:
        self._tells_errors = mode != "off"
        self._tells_all = mode == "all"
        self._role_of = role_of

    def tells(self, status: int | None, ended: str | None) -> bool:
        """Tell whether there is a line for an answer of this status (None: there was none) that ended in this way."""
        if self._tells_all:
            return True
        is_error = (status is not None and status >= FIRST_ERROR) or (ended is not None and ended != LEFT)
        return self._tells_errors and is_error

    def tell(
        self,
        *,
        request_id: str,
        method: str,
        path: str,
        authorization: Sequence[str],
        status: int | None,
        seconds: float,
        size: int,
        ended: str | None,
    ) -> None:
        """Write the line: `path` is a route's, and `ended` is there only when the answer did not come to its end."""
        happened = {} if ended is None else {"ended": ended}
        _log.info(
            "request",
            request_id=request_id,
            method=method if method in _METHODS else _OTHER_METHOD,
            path=path,
            status=status,
            milliseconds=round(seconds * 1000, 1),
            bytes=size,
            role=self._role_of(authorization),
            **happened,
        )
