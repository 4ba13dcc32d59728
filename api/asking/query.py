"""From the raw query string to what is asked, or to the one sentence that says what is wrong with it.

Parsed here and not by the HTTP library, which replaces what it cannot decode: here `%ff` is an error, not U+FFFD.
"""

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Final, NamedTuple, cast
from urllib.parse import unquote_to_bytes, urlencode

from api.asking.applied import AFTER, Record, parse_after
from api.asking.cursor import decode_cursor, encode_cursor
from api.asking.errors import BadQueryError
from api.projection.lookup import Place, Search
from schemas.event_time import RFC3339_PATTERN, end_of_second, sortable_time, unix_seconds
from schemas.identity import MAX_IDENTIFIER_CHARACTERS, canonical_hex, job_digest
from schemas.job_status import Dates
from schemas.redis_layout import INDEXES, score_of

FILTERS: Final = ("owner", "agreementId", "jobId")
PARAMETERS: Final = (*FILTERS, "dates", "limit", "cursor", "asOf", AFTER)
DATES: Final = ("iso", "unix")
MAX_LIMIT: Final = 1000
MAX_VALUE_CHARACTERS: Final = MAX_IDENTIFIER_CHARACTERS
NO_FILTER: Final = "You have to specify one of agreementId, jobId or owner"

_REMEMBERED: Final = 1024
_REMEMBERED_CHARACTERS: Final = 512
_KNOWN: Final = frozenset(PARAMETERS)
# Printable ASCII that needs no decoding: by far the most frequent.
_PLAIN: Final = re.compile(rf"[!-$&-*,-~]{{1,{MAX_VALUE_CHARACTERS}}}")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Stands in no value, for it is a control character.
_BETWEEN: Final = "\n"
_DIGITS: Final = re.compile(r"[0-9]+")
_TIME: Final = re.compile(RFC3339_PATTERN)


class Query(NamedTuple):
    """What is asked: canonical identifiers, a sortable time, the search, and the parameters as they were given."""

    owner: str | None
    agreement_id: str | None
    job_id: str | None
    dates: Dates
    as_of: str | None
    limit: int | None
    search: Search
    after: tuple[Record, ...]
    given: Mapping[str, str]

    @property
    def binding(self) -> str:
        """What a cursor is bound to; values hold no control characters, so joining them is unambiguous."""
        return "\0".join(value or "" for value in (self.owner, self.agreement_id, self.job_id, self.as_of))

    def going_on(self, after: Place) -> str:
        """Return the query string of the page after a place."""
        return urlencode({**self.given, "cursor": encode_cursor(after, self.binding)})


def parse_query(raw: str) -> Query:
    """Return what a raw query string asks; BadQueryError names the parameter that is wrong."""
    return _remembered(raw) if len(raw) <= _REMEMBERED_CHARACTERS else _parse(raw)


def _parse(raw: str) -> Query:
    given = given_of(raw, _KNOWN, repeated={AFTER})
    after = given.pop(AFTER, None)
    owner, agreement_id, job_id = (given.get(name) for name in FILTERS)
    if not (owner or agreement_id or job_id):
        raise BadQueryError(NO_FILTER)
    identifiers = owner and owner.lower(), agreement_id and canonical_hex(agreement_id), job_id
    as_of = _as_of(given["asOf"]) if "asOf" in given else None
    query = Query(
        *identifiers,
        dates=_dates(given["dates"]) if "dates" in given else "iso",
        as_of=as_of,
        limit=_limit(given["limit"]) if "limit" in given else None,
        search=Search(
            indexes=tuple(prefix + value for prefix, value in zip(INDEXES, identifiers, strict=True) if value),
            digest=_digest(*identifiers),
            # Newest first: what was created after that moment stands before it.
            after=Place(score_of(unix_seconds(as_of)), "") if as_of else None,
        ),
        after=() if after is None else parse_after(after.split(_BETWEEN)),
        given=given,
    )
    if "cursor" not in given:
        return query
    return query._replace(search=query.search._replace(after=_cursor(given["cursor"], query)))


# Who follows a job asks the same again and again.
_remembered = lru_cache(maxsize=_REMEMBERED)(_parse)


def _digest(owner: str | None, agreement_id: str | None, job_id: str | None) -> str | None:
    return job_digest(owner, agreement_id, job_id) if owner and agreement_id and job_id else None


def given_of(
    raw: str,
    known: Collection[str],
    most_characters: int = MAX_VALUE_CHARACTERS,
    repeated: Collection[str] = (),
) -> dict[str, str]:
    """Return the known parameters, decoded; unknown ones are ignored, also when they cannot be decoded.

    The values of one that may be given several times have line breaks between them.

    BadQueryError names one that is given twice, empty, or no text of so many characters.
    """
    given: dict[str, str] = {}
    for pair in raw.split("&"):
        name, _, value = pair.partition("=")
        if name not in known:
            name = _decoded_name(name)
            if name not in known:
                continue
        before = given.get(name)
        if before is not None and name not in repeated:
            raise BadQueryError(f"{name}: given twice")
        decoded = value if _PLAIN.fullmatch(value) else _decoded_value(name, value, most_characters)
        given[name] = decoded if before is None else before + _BETWEEN + decoded
    return given


def _decoded_name(text: str) -> str:
    try:
        return _decoded(text) if "%" in text else ""
    except ValueError:
        return ""


def _decoded_value(name: str, text: str, most_characters: int) -> str:
    try:
        value = _decoded(text)
    except ValueError:
        raise BadQueryError(f"{name}: not percent-encoded UTF-8") from None
    if not value:
        raise BadQueryError(f"{name}: empty")
    if len(value) > most_characters:
        raise BadQueryError(f"{name}: longer than {most_characters} characters")
    if _CONTROL.search(value):
        raise BadQueryError(f"{name}: has control characters")
    return value


def _decoded(text: str) -> str:
    if _BROKEN_ESCAPE.search(text):
        raise ValueError(text)
    # The HTTP parser hands on bytes that are not UTF-8 as surrogates; here they become those bytes again.
    return unquote_to_bytes(text.replace("+", " ").encode(errors="surrogateescape")).decode()


def _dates(text: str) -> Dates:
    if text not in DATES:
        raise BadQueryError(f"dates: one of {', '.join(DATES)}")
    return cast("Dates", text)


def _limit(text: str) -> int:
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise BadQueryError(f"limit: a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _as_of(text: str) -> str:
    if _TIME.match(text):
        with suppress(ValueError):
            return end_of_second(sortable_time(text))
    raise BadQueryError("asOf: an RFC 3339 time such as 2020-10-01T01:00:00Z; a + is written %2B")


def _cursor(text: str, query: Query) -> Place:
    try:
        return decode_cursor(text, query.binding)
    except ValueError:
        raise BadQueryError("cursor: not one that was given out for this query") from None
