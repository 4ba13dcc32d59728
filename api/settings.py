"""What the API can be told."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from api.access_log import Mode
from schemas.diagnosis.limits import DEFAULT_LIMITS, LIMITS_MEANING, checked_limits
from service.settings import Host, Port, RedisSettings

ANY_ORIGIN: Final = "*"
# As many as one process was seen to hold and to tell everything; more of them are for more processes.
MAX_STREAMS: Final = 5000

# A shorter token can be guessed.
MIN_TOKEN_CHARACTERS: Final = 16
MAX_TOKEN_CHARACTERS: Final = 4096

_TOKEN: Final = re.compile(r"[!-+\--~]+")  # what a header can carry, without the comma
_QUOTES: Final = "\"'`"
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.\[\]:_-]+", re.IGNORECASE)
_USUAL_PORTS: Final = {"http": ":80", "https": ":443"}


class ApiSettings(RedisSettings):
    """Where the API listens, whom it trusts, and which pages may read it."""

    api_host: Host = Field(
        "127.0.0.1", description="Address to listen on; 0.0.0.0 for every one, :: for those of IPv6 too."
    )
    api_port: Port = Field(8080, description="Port to listen on; 0 for a free one.")
    api_admin_tokens: SecretStr | None = Field(
        None, description="Bearer tokens of admins, comma-separated, of at least 16 characters each."
    )
    api_auth: Literal["open", "required"] = Field("open", description="Whether one may ask without credentials.")
    api_cors_origins: str = Field(
        ANY_ORIGIN, description="Origins whose pages may read the API, comma-separated; * for any."
    )
    api_keepalive_seconds: float = Field(
        75, gt=0, le=3600, description="An idle connection is closed after this; longer than a load balancer keeps it."
    )
    api_drain_seconds: float = Field(
        5, ge=0, le=300, description="After SIGTERM `/readyz` says 503 for so long before nobody listens any more."
    )
    api_access_log: Mode = Field("errors", description="Of which requests the log has a line: off, errors or all.")
    api_after_seconds: float = Field(
        2, gt=0, le=30, description="How long an answer waits until what `after` names is applied."
    )
    api_streams: int = Field(2000, ge=0, le=MAX_STREAMS, description="Streams of one process at most.")
    api_streams_per_address: int = Field(
        200, ge=0, description="Streams from one client address at most, in one process; see `API_PROXIES`."
    )
    api_streams_per_credential: int = Field(
        500, ge=0, description="Streams with the same admin token at most, in one process."
    )
    api_stream_seconds: float = Field(
        3600, gt=0, description="A stream is ended after so long; its client goes on, perhaps at another process."
    )
    api_proxies: str | None = Field(
        None, description="Addresses or networks of proxies whose X-Forwarded-For is believed, comma-separated."
    )
    max_staleness_seconds: float | None = Field(
        None, ge=5, description="Answer 503 when nobody has confirmed the projection for so long; not given: answer."
    )

    stage_limits: Annotated[str, AfterValidator(checked_limits)] = Field(DEFAULT_LIMITS, description=LIMITS_MEANING)

    @field_validator("api_admin_tokens")
    @classmethod
    def _tokens_fit_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        for token in _items(value.get_secret_value()) if value else ():
            if fault := _token_fault(token):
                raise ValueError(fault)
        return value

    @field_validator("api_proxies")
    @classmethod
    def _proxies_are_networks(cls, value: str | None) -> str | None:
        for item in _items(value or ""):
            try:
                ip_network(item)
            except ValueError:
                message = f"{item!r} is neither an address nor a network such as 10.0.0.0/8"
                raise ValueError(message) from None
        return value

    @field_validator("api_cors_origins")
    @classmethod
    def _origins_are_origins(cls, value: str) -> str:
        for origin in _items(value):
            if origin != ANY_ORIGIN and not _ORIGIN.fullmatch(origin):
                message = f"{origin!r} is not an origin such as https://example.net"
                raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _somebody_can_ask(self) -> Self:
        if self.api_auth == "required" and not self.admin_tokens():
            message = "API_AUTH=required needs API_ADMIN_TOKENS, or nobody could ask"
            raise ValueError(message)
        return self

    def admin_tokens(self) -> tuple[bytes, ...]:
        """Return the tokens that make a caller an admin."""
        tokens = self.api_admin_tokens
        return tuple(token.encode() for token in _items(tokens.get_secret_value())) if tokens else ()

    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return the networks of proxies that say rightly whose request they hand on."""
        return tuple(ip_network(item) for item in _items(self.api_proxies or ""))

    def cors_origins(self) -> frozenset[str]:
        """Return the origins whose pages may read the API, as browsers write them."""
        return frozenset(map(_as_browsers_write_it, _items(self.api_cors_origins)))


def _token_fault(token: str) -> str | None:
    """Return what is wrong with a token, without quoting it."""
    if token[0] in _QUOTES or token[-1] in _QUOTES:
        return "a token begins or ends with a quotation mark: a client would have to send that too"
    if not _TOKEN.fullmatch(token):
        return "each token is of printable ASCII characters without spaces or line breaks"
    if not MIN_TOKEN_CHARACTERS <= len(token) <= MAX_TOKEN_CHARACTERS:
        return f"each token has {MIN_TOKEN_CHARACTERS} to {MAX_TOKEN_CHARACTERS} characters: openssl rand -hex 32"
    return None


def _as_browsers_write_it(origin: str) -> str:
    """Return an origin in lower case and without the port that its scheme has anyway."""
    scheme, _, place = origin.lower().partition("://")
    return f"{scheme}://{place.removesuffix(_USUAL_PORTS[scheme])}" if place else scheme


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
