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
    settings = ApiSettings.load({"API_ADMIN_TOKENS": "a, b,,c ", "API_CORS_ORIGINS": "https://a.example, http://b:81"})
    assert settings.admin_tokens() == (b"a", b"b", b"c")
    assert settings.cors_origins() == {"https://a.example", "http://b:81"}


def test_all_faults_are_told_together_and_no_secret_with_them() -> None:
    """Every wrong setting is named at once, and a token is not quoted."""
    told = faults(API_PORT="x", API_AUTH="perhaps", API_ADMIN_TOKENS="geheim nis", API_CORS_ORIGINS="example.net")
    assert all(name in told for name in ("API_PORT", "API_AUTH", "API_ADMIN_TOKENS", "API_CORS_ORIGINS"))
    assert "geheim" not in told


def test_mode_required_needs_somebody_who_can_ask() -> None:
    """Mode required without a token is refused: nobody could ask."""
    assert "nobody could ask" in faults(API_AUTH="required")
    assert ApiSettings.load({"API_AUTH": "required", "API_ADMIN_TOKENS": "a"}).api_auth == "required"


def test_tokens_are_not_shown() -> None:
    """The settings can be printed without telling a secret."""
    assert "sesame" not in repr(ApiSettings.load({"API_ADMIN_TOKENS": "sesame"}))
