"""Tickets: a credential for one stream, for clients that send no headers, such as a browser's EventSource.

A ticket is signed with a key that is made of the admins' tokens, so that every process of a deployment knows its own,
and nothing has to be written into Redis, which the API only reads. It is bound to one query and one role and is good
for half a minute. Each process remembers which ones were used there: a second use is refused by that process. Another
process would take it, once, within the same half minute, for the same query.
"""

import hmac
import secrets
import struct
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from api.asking.credentials import ADMIN, ANYBODY, Caller
from api.asking.errors import UnauthorizedError

TICKET_SECONDS: Final = 30

_PURPOSE: Final = b"operator-status stream ticket"
_NONCE_BYTES: Final = 12
_HEAD: Final = struct.Struct(f">BI{_NONCE_BYTES}s")
_SIGNATURE_BYTES: Final = 16


class Tickets:
    """Issues tickets, and takes each once."""

    def __init__(self, admin_tokens: Sequence[bytes], clock: Callable[[], float] = time.time) -> None:
        # Without tokens there is one role, and a ticket grants nothing: any key will do, also one for each process.
        secret = b"\0".join(sorted(admin_tokens)) or secrets.token_bytes(_SIGNATURE_BYTES)
        self._key = hmac.digest(secret, _PURPOSE, sha256)
        self._clock = clock
        # Those that were used, and when they end, in that order.
        self._used: dict[bytes, int] = {}

    @property
    def remembered(self) -> int:
        """How many used tickets are remembered."""
        return len(self._used)

    def issue(self, caller: Caller, query: str) -> str:
        """Return a ticket for this query, with what this caller may see."""
        ends = int(self._clock()) + TICKET_SECONDS
        head = _HEAD.pack(caller.is_admin, ends, secrets.token_bytes(_NONCE_BYTES))
        return urlsafe_b64encode(head + self._signature(head, query)).decode().rstrip("=")

    def take(self, ticket: str, query: str) -> Caller:
        """Return what the ticket's holder may see; UnauthorizedError unless it is good, of this query, and not used."""
        try:
            whole = urlsafe_b64decode(ticket.encode("ascii") + b"=" * (-len(ticket) % 4))
        except ValueError:
            whole = b""
        head, signature = whole[: _HEAD.size], whole[_HEAD.size :]
        if len(head) < _HEAD.size or not hmac.compare_digest(signature, self._signature(head, query)):
            raise UnauthorizedError("The ticket is not one that was given out for this query")
        is_admin, ends, nonce = _HEAD.unpack(head)
        self._forget_old()
        if ends < self._clock():
            raise UnauthorizedError("The ticket is too old: ask for another one")
        if nonce in self._used:
            raise UnauthorizedError("The ticket was used: ask for another one")
        self._used[nonce] = ends
        return ADMIN if is_admin else ANYBODY

    def _signature(self, head: bytes, query: str) -> bytes:
        return hmac.digest(self._key, head + query.encode(), sha256)[:_SIGNATURE_BYTES]

    def _forget_old(self) -> None:
        now = self._clock()
        while self._used and next(iter(self._used.values())) < now:
            del self._used[next(iter(self._used))]
