"""Who asks: an admin, or somebody unknown."""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from api.asking.errors import UnauthorizedError

_SCHEME: Final = "bearer"
_SPACE: Final = " \t"  # a tab too, which some clients write: else an admin were somebody unknown without a word


class Caller(NamedTuple):
    """What a caller may see."""

    is_admin: bool


ANYBODY: Final = Caller(is_admin=False)
ADMIN: Final = Caller(is_admin=True)


class Credentials:
    """Knows the admins, and whether one may ask without credentials."""

    def __init__(self, admin_tokens: Sequence[bytes], *, is_required: bool) -> None:
        self._admin_digests = tuple(map(_digest, admin_tokens))
        self._is_required = is_required

    def caller(self, authorization: Sequence[str]) -> Caller:
        """Return who sends these `Authorization` headers; UnauthorizedError unless they are good.

        Where none are needed only a Bearer token counts, and only where tokens are configured: what else is sent is
        somebody else's, such as a proxy's. A token that counts and is not good is refused also there.
        """
        if not self._is_required and not (self._admin_digests and any(map(_is_bearer, authorization))):
            return ANYBODY
        if not authorization:
            raise UnauthorizedError("Credentials are required: Authorization: Bearer <token>")
        if len(authorization) == 1 and self._is_admin(authorization[0]):
            return ADMIN
        raise UnauthorizedError("The credentials are not valid")

    def role(self, authorization: Sequence[str]) -> str:
        """Return what the log calls who sends these headers: `admin`, `anyone`, or `none` who is not let in."""
        try:
            return "admin" if self.caller(authorization).is_admin else "anyone"
        except UnauthorizedError:
            return "none"

    def _is_admin(self, authorization: str) -> bool:
        given = _digest(authorization[len(_SCHEME) :].strip(_SPACE).encode(errors="surrogateescape"))
        # All are compared, each of the same length, so that the time it takes tells nothing.
        matches = [hmac.compare_digest(given, admin) for admin in self._admin_digests]
        return _is_bearer(authorization) and any(matches)


def _digest(token: bytes) -> bytes:
    return sha256(token).digest()


def _is_bearer(authorization: str) -> bool:
    return authorization.partition(" ")[0].partition("\t")[0].lower() == _SCHEME
