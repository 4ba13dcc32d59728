r"""The text of a register: what was reported of a stage or a detail of a job, as Redis and archives hold it.

| register of | text | kept is |
|---|---|---|
| a stage | `<time>\t<source>\t<event id>\t<record>` | the smallest, so the earliest report |
| a detail | `<stage code, 2 digits>\t<time>\t<event id>\t<value>` | the greatest, so the latest of the furthest stage |
| the last news | `<stage code, 2 digits>\t<time>` | the greatest, so the latest of the furthest repeated stage |

A time is sortable (see `event_time`), a record is `<topic>/<partition>/<offset>`, and a value is the text that was
reported, or JSON when it was no text. Only a value may hold the separator. The offset has its number of digits in front
("a" is one), so that of a report that arrives again the first record stays. Behind it stands when it was recorded: the
milliseconds, with their sign, from the whole second of the report's time; nothing when Kafka does not say it.

In Redis registers are written a little shorter: see `job_hash`.
"""

import re
from datetime import date
from functools import lru_cache
from string import ascii_lowercase
from typing import Any, Final

import orjson

from schemas.event_time import LATEST_MILLISECONDS, SORTABLE_CHARACTERS, unix_seconds

# Smaller than every character of an identifier, so that a shorter text sorts before a longer one that begins with it.
SEPARATOR: Final = "\t"
_SEPARATOR_BYTES: Final = SEPARATOR.encode()

# Where the time is, in text and in bytes.
STAGE_TIME: Final = slice(SORTABLE_CHARACTERS)
DETAIL_TIME: Final = slice(3, 3 + SORTABLE_CHARACTERS)
DETAIL_CODE: Final = slice(2)

_TIME: Final = rb"(\d{4}-\d\d-\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}"
_STAGE: Final = re.compile(_TIME + rb"\t[^\t]*\t[^\t]*\t[^\t]+/\d+/[a-z]?\d+([+-]\d+)?")
_DETAIL: Final = re.compile(rb"\d\d\t" + _TIME + rb"\t[^\t]*\t.*", re.DOTALL)
_NEWS: Final = re.compile(rb"\d\d\t" + _TIME)
_LETTERS: Final = ascii_lowercase
# Of an offset by its number of digits, as `sortable_number` writes it.
OFFSET_LETTERS: Final = f" {_LETTERS}"
_CODE_TEXTS: Final = tuple(f"{code:02d}" for code in range(100))
_DELAY: Final = re.compile(r"[+-]")
# What stands behind the code of a detail that is of the same report as the register of its stage.
SAME: Final = "="
_SAME_BYTES: Final = SAME.encode()
_SAME_AT: Final = slice(2, 3)


def stage_register(time: str, source: str, event_id: str, record: str) -> str:
    """Return the register of a stage that one report gives."""
    return f"{time}{SEPARATOR}{source}{SEPARATOR}{event_id}{SEPARATOR}{record}"


def record_text(partition: str, offset: int, time: str, timestamp: int) -> str:
    """Return what a register says of the record of a report: its place, and its timestamp as `recorded_milliseconds`.

    `timestamp` is the record's, in Unix milliseconds, negative when it has none; one that no calendar has is none.
    """
    digits = str(offset)
    letter = OFFSET_LETTERS[len(digits)]
    if not 0 <= timestamp <= LATEST_MILLISECONDS:
        return f"{partition}/{letter}{digits}"
    delay = timestamp - unix_seconds(time) * 1000
    sign = "+" if delay >= 0 else ""  # a format takes longer
    return f"{partition}/{letter}{digits}{sign}{delay}"


def place_in(record: str) -> str:
    """Return where a record is in the log: `<topic>/<partition>/<offset>`."""
    partition, _, offset = record.rpartition("/")
    return f"{partition}/{_DELAY.split(offset)[0].lstrip(_LETTERS)}"


def recorded_milliseconds(record: str, time: str) -> int | None:
    """Return when a record with a report of this time was recorded, in Unix milliseconds; None when nobody knows."""
    offset = record.rpartition("/")[2]
    found = _DELAY.search(offset)
    if found is None:
        return None
    milliseconds = unix_seconds(time) * 1000 + int(offset[found.start() :])
    return milliseconds if 0 <= milliseconds <= LATEST_MILLISECONDS else None


def news_register(code: int, time: str) -> str:
    """Return the register that tells of the last news of a stage, by its code."""
    return f"{code:02d}{SEPARATOR}{time}"


def news_parts(register: bytes) -> tuple[int, str]:
    """Return code and time of the last news."""
    code, _, time = register.decode().partition(SEPARATOR)
    return int(code), time


def detail_stamp(code: int, time: str, event_id: str) -> str:
    """Return what the register of a detail begins with, the same for all details of a report; its value follows."""
    return f"{_CODE_TEXTS[code]}{SEPARATOR}{time}{SEPARATOR}{event_id}{SEPARATOR}"


def is_short(register: str | bytes) -> bool:
    """Tell whether a detail's time and event id are those of its stage, and so not written."""
    return register[_SAME_AT] == (_SAME_BYTES if register.__class__ is bytes else SAME)


def value_text(value: Any) -> str:
    """Return the value of a detail as it stands in its register."""
    return value if value.__class__ is str else orjson.dumps(value).decode()


def stage_parts(register: bytes) -> list[str]:
    """Return time, source, event id and record of a stage's register, the record as `record_text` writes it."""
    return register.decode().split(SEPARATOR)


def recorded_at(register: str) -> tuple[str, int]:
    """Return the partition, by its name, and the offset at which the report of a stage was recorded."""
    partition, _, offset = place_in(register.rpartition(SEPARATOR)[2]).rpartition("/")
    return partition, int(offset)


def value_in(register: bytes) -> bytes:
    """Return the value of a detail's register, as a hash has it too."""
    if register[_SAME_AT] == _SAME_BYTES:
        return register[_SAME_AT.stop :]
    return register.split(_SEPARATOR_BYTES, 3)[3]


def is_stage_register(stored: bytes) -> bool:
    """Tell whether this is the register of a stage."""
    return _is_of_some_time(stored, _STAGE)


def is_detail_register(stored: bytes) -> bool:
    """Tell whether this is the register of a detail, as a hash has it too."""
    if is_short(stored):
        return stored[DETAIL_CODE].isdigit() and (stored.isascii() or _is_text(stored))
    return _is_of_some_time(stored, _DETAIL)


def is_news_register(stored: bytes) -> bool:
    """Tell whether this tells of the last news."""
    return _is_of_some_time(stored, _NEWS)


def _is_of_some_time(stored: bytes, pattern: re.Pattern[bytes]) -> bool:
    found = pattern.fullmatch(stored)
    return found is not None and _is_in_calendar(found[1]) and (stored.isascii() or _is_text(stored))


@lru_cache(maxsize=4096)
def _is_in_calendar(day: bytes) -> bool:
    try:
        date.fromisoformat(day.decode())
    except ValueError:
        return False
    return True


def _is_text(stored: bytes) -> bool:
    try:
        stored.decode()
    except ValueError:
        return False
    return True
