"""What a watcher can be told."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from service.settings import Settings


class WatchSettings(Settings):
    """Where the API is, and as whom it is asked."""

    api_url: str = Field("http://127.0.0.1:8080", description="Where the API is, with the path before /api, if any.")
    api_token: SecretStr | None = Field(None, description="Bearer token with which the API is asked.")

    @field_validator("api_url")
    @classmethod
    def _is_a_web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = "must be an address such as http://127.0.0.1:8080"
            raise ValueError(message)
        if parts.username or parts.password:
            message = "must not hold a user or password: API_TOKEN is sent as Authorization"
            raise ValueError(message)
        if parts.query or parts.fragment:
            message = "must not have a query or a fragment"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("api_token")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        token = value.get_secret_value() if value else ""
        if not token.isascii() or not token.isprintable() or " " in token:
            message = "must be printable ASCII without spaces"
            raise ValueError(message)
        return value
