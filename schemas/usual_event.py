"""The usual event, parsed and checked in one step, in a fraction of the time that the schema takes for any event.

What is usual is what our reporter and most others write: some kilobytes of ASCII without escapes, with the members that
are named here and no others, each of its usual type, and a time in UTC. It is a subset of what the schema accepts, with
the same meaning. Whatever else there is, good or bad, is nobody's business here: None is returned, and the schema says.

Every byte of a usual event is checked, for a member that is not named ends it. So no number, nesting or second member
of a name can hide in one (see `json_text`).
"""

import re
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from schemas.event_time import usual_time
from schemas.identity import MAX_ATTEMPT, MAX_IDENTIFIER_CHARACTERS
from schemas.job_event import MAX_OUTPUTS, MAX_TEXT_CHARACTERS, MAX_URL_CHARACTERS, SPEC_VERSION
from schemas.lifecycle import OUTCOMES, STAGE_BY_EVENT_TYPE

# Nothing usual is larger; what is larger takes long enough to parse that the schema makes no difference.
LARGEST_USUAL_BYTES: Final = 16 * 1024
# Of unusual events in a row: so many are tried, and then one in so many.
TRIED_IN_A_ROW: Final = 16
TRIED_ONE_IN: Final = 16
_BACKSLASH, _DELETE, _SPACE = b"\\\x7f "

# Among printable ASCII characters an identifier is anything that has no space at its ends: see `_has_space`.
_Identifier = Annotated[str, Meta(min_length=1, max_length=MAX_IDENTIFIER_CHARACTERS)]
_Attempt = Annotated[int, Meta(ge=1, le=MAX_ATTEMPT)]
_UrlOrEmpty = Annotated[str, Meta(max_length=MAX_URL_CHARACTERS)]
_Url = Annotated[str, Meta(min_length=1, max_length=MAX_URL_CHARACTERS)]
_OWNER: Final = re.compile(r"0[xX][0-9a-fA-F]+")
_ORIGIN: Final = re.compile(r"https?://[0-9A-Za-z.-]+(?::[0-9]{1,4})?")
_BEHIND_SCHEME: Final = len("https://")
_Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARACTERS)]
_SpecVersion = Literal[SPEC_VERSION]  # type: ignore[valid-type]
_EventType = Literal[*STAGE_BY_EVENT_TYPE]  # type: ignore[valid-type]
_OutcomeOrEmpty = Literal["", *OUTCOMES]  # type: ignore[valid-type]


class UsualData(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The data of a usual event; null and an empty text or array, as in any event, mean that a member is not given."""

    owner: _Identifier
    agreementId: _Identifier  # noqa: N815 - as it is written
    jobId: _Identifier  # noqa: N815
    attempt: _Attempt | None = None
    configlogURL: _UrlOrEmpty | None = None  # noqa: N815
    publishlogURL: _UrlOrEmpty | None = None  # noqa: N815
    algologURL: _UrlOrEmpty | None = None  # noqa: N815
    outputsURL: Annotated[list[_Url], Meta(max_length=MAX_OUTPUTS)] | None = None  # noqa: N815
    message: _Text | None = None
    outcome: _OutcomeOrEmpty | None = None
    error: _Text | None = None


class UsualEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A usual event; beside what CloudEvents asks for, the extensions that tracing adds may be there."""

    specversion: _SpecVersion
    id: _Identifier
    source: _Identifier
    type: _EventType
    data: UsualData
    time: str | None = None
    datacontenttype: str | None = None
    data_base64: None = None
    subject: str | None = None
    dataschema: str | None = None
    partitionkey: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


_parse: Final = msgspec.json.Decoder(UsualEvent).decode


def usual_event(value: bytes) -> UsualEvent | None:
    """Return the event that these bytes are, when it is a usual one as far as its URLs, which `usual_details` looks at.

    Its owner is in lower case, and its time in sortable form.
    """
    event = parsed(value)
    if event is None:
        return None
    data = event.data
    owner = usual_owner(data.owner)
    if owner is None:
        return None
    data.owner = owner
    if event.time:
        event.time = usual_time(event.time)
        if event.time is None:
            return None
    return event


def parsed(value: bytes) -> UsualEvent | None:
    """Return the event that these bytes are, when it is a usual one but for its owner, its time and its URLs."""
    if not value.isascii() or len(value) > LARGEST_USUAL_BYTES or _BACKSLASH in value or _DELETE in value:
        return None
    try:
        event = _parse(value)
    except msgspec.DecodeError:
        return None
    return None if _SPACE in value and _has_space(event) else event


def usual_details(data: UsualData) -> dict[str, Any]:
    """Return the details that are given, by their names; ValueError when a URL is not a usual one."""
    details: dict[str, Any] = {}
    # One after the other, for a loop over the names takes three times as long.
    if data.configlogURL:
        details["configlogURL"] = _usual_url(data.configlogURL)
    if data.publishlogURL:
        details["publishlogURL"] = _usual_url(data.publishlogURL)
    if data.algologURL:
        details["algologURL"] = _usual_url(data.algologURL)
    if data.outputsURL:
        details["outputsURL"] = list(map(_usual_url, data.outputsURL))
    if data.message:
        details["message"] = data.message
    if data.outcome:
        details["outcome"] = data.outcome
    if data.error:
        details["error"] = data.error
    return details


# Owners and the beginnings of URLs are many events' own, and a pattern takes as long as five look-ups.
@lru_cache(maxsize=4096)
def usual_owner(text: str) -> str | None:
    """Return an owner in lower case; None when the text is none."""
    return text.lower() if _OWNER.fullmatch(text) else None


@lru_cache(maxsize=4096)
def _is_origin(text: str) -> bool:
    return _ORIGIN.fullmatch(text) is not None


def _usual_url(text: str) -> str:
    """Return a text that is a URL; of printable ASCII any character but a space may be in its path."""
    end = text.find("/", _BEHIND_SCHEME)
    if " " in text or not _is_origin(text if end < 0 else text[:end]):
        raise ValueError("not a URL that is usual")
    return text


def _has_space(event: UsualEvent) -> bool:
    """Tell whether an identifier begins or ends with a space, of which ASCII has but one to print."""
    data = event.data
    texts = (event.id, event.source, data.agreementId, data.jobId)
    return " " in "".join(texts) and any(text != text.strip(" ") for text in texts)


class Row:
    """How many unusual records came in a row: what a worker writes unusually, all its records have.

    In vain an event is taken for a usual one at more than half of what the schema takes. So in a long row only one
    record in some is tried. What comes out is the same.
    """

    __slots__ = ("length",)

    def __init__(self) -> None:
        self.length = 0

    def is_to_try(self) -> bool:
        """Tell whether the next record is to be taken for a usual one."""
        length = self.length
        if length < TRIED_IN_A_ROW:
            return True
        self.length = length + 1
        return not length % TRIED_ONE_IN

    def note(self, *, is_usual: bool) -> None:
        """Take in what a record that was tried was."""
        self.length = 0 if is_usual else self.length + 1
