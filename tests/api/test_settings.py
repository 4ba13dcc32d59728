"""The API's settings."""

import pytest

from api.settings import ApiSettings
from service.errors import SettingsError


def faults(**environment: str) -> str:
    """Return what is wrong with an environment."""
    with pytest.raises(SettingsError) as caught:
        ApiSettings.load(environment)
    return str(caught.value)


def test_nothing_has_to_be_set() -> None:
    """Without any setting the API listens locally, is open, trusts nobody and may be read by any page."""
    settings = ApiSettings.load({})
    assert (settings.api_host, settings.api_port, settings.api_auth) == ("127.0.0.1", 8080, "open")
    assert settings.admin_tokens() == ()
    assert settings.cors_origins() == {"*"}


def test_lists_are_comma_separated() -> None:
    """Tokens and origins are lists; spaces around an item and empty items count for nothing."""
    settings = ApiSettings.load(
        {
            "API_ADMIN_TOKENS": ", ".join(("a" * 16, "b" * 17, "", "c" * 4096)),
            "API_CORS_ORIGINS": "https://a.example, http://b:81",
        }
    )
    assert settings.admin_tokens() == (b"a" * 16, b"b" * 17, b"c" * 4096)
    assert settings.cors_origins() == {"https://a.example", "http://b:81"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://Example.NET", "https://example.net"),
        ("HTTPS://example.net:443", "https://example.net"),
        ("http://example.net:80", "http://example.net"),
        ("http://example.net:443", "http://example.net:443"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_an_origin_is_compared_as_browsers_send_it(given: str, sent: str) -> None:
    """Capitals and the port that a scheme has anyway stop no page: browsers send neither."""
    assert ApiSettings.load({"API_CORS_ORIGINS": given}).cors_origins() == {sent}


def test_a_host_may_stand_in_brackets() -> None:
    """An IPv6 address is taken as it is written in a URL too."""
    assert ApiSettings.load({"API_HOST": "[::1]"}).api_host == "::1"


def test_all_faults_are_told_together_and_no_secret_with_them() -> None:
    """Every wrong setting is named at once, and a token is not quoted."""
    told = faults(API_PORT="x", API_AUTH="perhaps", API_ADMIN_TOKENS="geheim nis", API_CORS_ORIGINS="example.net")
    assert all(name in told for name in ("API_PORT", "API_AUTH", "API_ADMIN_TOKENS", "API_CORS_ORIGINS"))
    assert "geheim" not in told


def test_mode_required_needs_somebody_who_can_ask() -> None:
    """Mode required without a token is refused: nobody could ask."""
    assert "nobody could ask" in faults(API_AUTH="required")
    assert ApiSettings.load({"API_AUTH": "required", "API_ADMIN_TOKENS": "a" * 16}).api_auth == "required"


def test_tokens_are_not_shown() -> None:
    """The settings can be printed without telling a secret."""
    assert "sesame-sesame-16" not in repr(ApiSettings.load({"API_ADMIN_TOKENS": "sesame-sesame-16"}))


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        ("a" * 15, "16 to 4096 characters"),
        (f"{'a' * 16},b", "16 to 4096 characters"),
        ("a" * 4097, "16 to 4096 characters"),
        (f'"{"a" * 16}"', "quotation mark"),
        (f"'{'a' * 16},{'b' * 16}'", "quotation mark"),
        (f"{'a' * 16}\n{'b' * 16}", "line breaks"),
        (f"{'a' * 16} {'b' * 16}", "without spaces"),
    ],
)
def test_a_token_that_is_guessed_or_never_matches_is_told(tokens: str, told: str) -> None:
    """Short tokens, quotation marks that would belong to the token, and what no header can carry are refused."""
    fault = faults(API_ADMIN_TOKENS=tokens)
    assert "API_ADMIN_TOKENS" in fault
    assert told in fault
    assert "aaa" not in fault
