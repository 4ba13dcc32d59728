"""The token by which a client proves who it is (SASL OAUTHBEARER), from a file that somebody else keeps new."""

import asyncio
from pathlib import Path

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """Reads the file for each connection: tokens expire, and platforms write the next one into the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """Return the token; KafkaConnectionError names the file when it cannot be read."""
        try:
            text = await asyncio.to_thread(self._path.read_text, "ascii")
        except (OSError, ValueError) as error:
            raise KafkaConnectionError(f"KAFKA_SASL_OAUTH_TOKEN_PATH cannot be read: {error}") from error
        return text.strip()
