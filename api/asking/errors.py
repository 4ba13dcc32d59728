"""Why a question is not answered; the text is for whoever asked, so it quotes nothing that could be a secret."""

from api.exchange import NoAnswerError


class RefusedError(Exception):
    """The question is refused; asking again the same way cannot help."""


class BadQueryError(RefusedError):
    """The query is wrong; the text names the parameter."""


class UnauthorizedError(RefusedError):
    """The credentials are missing where they are needed, or are not good."""


class NoSuchJobError(NoAnswerError):
    """No job is known by the name that the query gives; one may be reported yet."""


class ExpiredJobError(NoAnswerError):
    """The job that the query names has expired."""
