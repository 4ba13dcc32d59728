"""Credentials: who is an admin, and who is refused."""

import pytest

from api.asking.credentials import ADMIN, ANYBODY, Credentials
from api.asking.errors import UnauthorizedError

TOKENS = (b"sesame", b"mellon")
OPEN = Credentials(TOKENS, is_required=False)
REQUIRED = Credentials(TOKENS, is_required=True)


@pytest.mark.parametrize("credentials", [OPEN, REQUIRED])
@pytest.mark.parametrize("header", ["Bearer sesame", "bearer mellon", "BEARER  sesame", "Bearer sesame "])
def test_each_admins_token_makes_an_admin(credentials: Credentials, header: str) -> None:
    """Every one of the tokens is good, in both modes, whatever the letter case of the scheme."""
    assert credentials.caller([header]) == ADMIN


def test_without_credentials_the_mode_decides() -> None:
    """Without credentials anybody may ask in mode open, and nobody in mode required."""
    assert OPEN.caller([]) == ANYBODY
    with pytest.raises(UnauthorizedError, match="required"):
        REQUIRED.caller([])


@pytest.mark.parametrize("credentials", [OPEN, REQUIRED, Credentials((), is_required=False)])
@pytest.mark.parametrize(
    "headers",
    [["Bearer"], ["Bearer "], [""], ["Basic c2VzYW1l"], ["sesame"], ["Bearer Sesame"], ["Bearer sesam"],
     ["Bearer sesame1"], ["Bearer sesame,mellon"], ["Bearer s\u00e9same"], ["Bearer \udcff\udcfe"],
     ["Bearer " + "x" * 8192], ["Bearer eyJhbGciOiJub25lIn0.e30."], ["Bearer sesame", "Bearer sesame"],
     ["Basic x", "Bearer sesame"]],
)  # fmt: skip
def test_bad_credentials_are_refused_in_every_mode(credentials: Credentials, headers: list[str]) -> None:
    """Credentials that were sent and are not good are refused, also where none are needed."""
    with pytest.raises(UnauthorizedError, match="not valid"):
        credentials.caller(headers)
