"""Why the API told nothing, by what is to be done about it."""

from service.errors import CommandError, SettingsError


class NoAnswerError(Exception):
    """Nobody answered, or not with what the API says: a fault, of which so many in a row mean that contact is lost."""


class NotNowError(Exception):
    """The API is there and says that it cannot answer now, and when it pays to ask again."""

    def __init__(self, sentence: str, seconds: float) -> None:
        """Say what it said."""
        super().__init__(sentence)
        self.seconds = seconds


class NotOfferedError(Exception):
    """The API has no stream."""


class LostContactError(Exception):
    """So many faults came in a row that it is not to be expected that the next try succeeds."""


class RefusedError(CommandError):
    """The API refuses the question, whenever it is asked."""

    exit_code = SettingsError.exit_code
