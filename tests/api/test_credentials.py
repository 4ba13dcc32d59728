"""Credentials: who is an admin, and who is refused."""

import pytest

from api.asking.credentials import ADMIN, ANYBODY, Credentials
from api.asking.errors import UnauthorizedError

TOKENS = (b"sesame-sesame-16", b"mellon-mellon-16")
OPEN = Credentials(TOKENS, is_required=False)
REQUIRED = Credentials(TOKENS, is_required=True)


@pytest.mark.parametrize("credentials", [OPEN, REQUIRED])
@pytest.mark.parametrize(
    "header",
    [
        "Bearer sesame-sesame-16",
        "bearer mellon-mellon-16",
        "BEARER  sesame-sesame-16",
        "Bearer sesame-sesame-16 ",
        "Bearer\tsesame-sesame-16",
    ],
)
def test_each_admins_token_makes_an_admin(credentials: Credentials, header: str) -> None:
    """Every one of the tokens is good, in both modes, whatever the letter case of the scheme."""
    assert credentials.caller([header]) == ADMIN


def test_without_credentials_the_mode_decides() -> None:
    """Without credentials anybody may ask in mode open, and nobody in mode required."""
    assert OPEN.caller([]) == ANYBODY
    with pytest.raises(UnauthorizedError, match="required"):
        REQUIRED.caller([])


# What others send, such as a proxy, or a page that has no token.
OTHERS = [[""], ["Basic c2VzYW1l"], ["sesame-sesame-16"], ["undefined"], ["null"], ["Basic x", "Digest y"]]


@pytest.mark.parametrize("headers", OTHERS)
def test_what_is_no_bearer_token_is_not_looked_at_where_none_is_needed(headers: list[str]) -> None:
    """In mode open it is not for us; in mode required it is not good."""
    assert OPEN.caller(headers) == ANYBODY
    with pytest.raises(UnauthorizedError, match="not valid"):
        REQUIRED.caller(headers)


@pytest.mark.parametrize("headers", [*OTHERS, ["Bearer"], ["Bearer sesame-sesame-16"], ["Bearer x", "Bearer y"]])
def test_where_no_token_is_configured_none_is_looked_at(headers: list[str]) -> None:
    """Nobody can be an admin, and anybody may ask, whatever a page or a proxy sends along."""
    assert Credentials((), is_required=False).caller(headers) == ANYBODY


@pytest.mark.parametrize("credentials", [OPEN, REQUIRED])
@pytest.mark.parametrize(
    "headers",
    [["Bearer"], ["Bearer "], ["Bearer Sesame-sesame-16"], ["Bearer sesame-sesame-1"],
     ["Bearer sesame-sesame-167"], ["Bearer sesame-sesame-16,mellon-mellon-16"],
     ["Bearer s\u00e9same-sesame-16"], ["Bearer \udcff\udcfe"],
     ["Bearer " + "x" * 8192], ["Bearer eyJhbGciOiJub25lIn0.e30."], ["Bearer sesame-sesame-16"] * 2,
     ["Basic x", "Bearer sesame-sesame-16"]],
)  # fmt: skip
def test_bad_credentials_are_refused_in_every_mode(credentials: Credentials, headers: list[str]) -> None:
    """A Bearer token that nobody has is refused, also where none is needed."""
    with pytest.raises(UnauthorizedError, match="not valid"):
        credentials.caller(headers)
