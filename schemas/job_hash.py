r"""A job as its hash in Redis holds it: as registers say, but so written that it stays small and a person can read it.

Redis keeps a hash in a compact form, of about half the bytes, as long as no value in it is longer than 64 bytes (the
default of redis-server and Valkey). So what repeats itself is left out, and what is longer is cut.

| in a job | in its hash |
|---|---|
| a detail that comes of the same report as the register of its stage | `<code>=<value>`: time and id are the stage's |
| its jobId in a URL | `{ jobId }`, which no URL can hold |
| a register of 64 bytes or more, in ASCII | pieces of 64 bytes: `started`, `started:2` ...; the last one is shorter |
| an identifier of 0x and 64 hexadecimal digits | without its 0x (and one of such digits alone: behind a space) |

All of it is a function of the registers alone: equal jobs are equal hashes, whatever the order of their reports. The
rule is also in `projector/store/lua/jobs/job_hash.lua`, for the script that joins two jobs.
"""

import re
from collections.abc import Mapping
from typing import Final

from schemas.job_event import DETAIL_NAMES, DETAILS
from schemas.lifecycle import STAGE_NAMES, STAGES
from schemas.redis_layout import IDENTITY_FIELDS, STORED_FIELDS
from schemas.registers import DETAIL_CODE, SAME, SEPARATOR, is_short

PIECE_BYTES: Final = 64
# What is longer is not cut, for its hash would be no smaller in pieces.
MOST_CUT_BYTES: Final = 512
_TWO_PIECES: Final = 2 * PIECE_BYTES
# Stands for the jobId, when that is longer.
JOB_ID: Final = "{ jobId }"

# Of each register the names of its pieces, one more than there can be.
PIECES: Final = {
    name: (name, *(f"{name}:{number}" for number in range(2, MOST_CUT_BYTES // PIECE_BYTES + 2)))
    for name in STORED_FIELDS
    if name not in IDENTITY_FIELDS
}
_IDENTIFIERS: Final = IDENTITY_FIELDS[:-1]
# In these the jobId may stand.
URL_DETAILS: Final = frozenset(name for name, schema in DETAILS.items() if "pattern" in schema or "items" in schema)
_STAGE_OF_CODE: Final = {f"{stage.code:02d}": stage.name for stage in STAGES}
_DIGITS: Final = re.compile(r"(?:0x)?[0-9a-f]{64}")
_HEX_BYTES: Final = b"0123456789abcdef"
_MARK: Final = "0x"
_STAGE_PARTS: Final = 4
_STAMP_PARTS: Final = 3  # of a detail, before its value
_DETAILS: Final = frozenset(DETAIL_NAMES)
_NO_STAMP: Final = "none"  # with which no detail begins
_NO_MARK: Final = " "  # with which no identifier begins


def stored_identifier(identifier: str) -> str:
    """Return an identifier as the hash has it."""
    if len(identifier) not in (PIECE_BYTES, PIECE_BYTES + len(_MARK)) or not _DIGITS.fullmatch(identifier):
        return identifier
    return identifier[2:] if identifier.startswith(_MARK) else _NO_MARK + identifier


def identifier_in(stored: str) -> str:
    """Return the identifier that the hash has so."""
    if len(stored) == PIECE_BYTES and _DIGITS.fullmatch(stored):
        return _MARK + stored
    return stored[1:] if stored[:1] == _NO_MARK else stored


def read_identifier(stored: bytes) -> str:
    """Return the identifier that the hash has in these bytes: `identifier_in`, in half of the time."""
    if len(stored) == PIECE_BYTES and not stored.translate(None, _HEX_BYTES):
        return _MARK + stored.decode()
    text = stored.decode()
    return text[1:] if text[:1] == _NO_MARK else text


def stages_in_hash(stages: Mapping[str, str]) -> list[str]:
    """Return the fields that hold the registers of stages: names, each before its value."""
    fields: list[str] = []
    for name, register in stages.items():
        _put(fields, name, register)
    return fields


def details_in_hash(details: Mapping[str, str], stages: Mapping[str, str], job_id: str) -> list[str]:
    """Return the fields that hold the registers of details, and others, of a job with these registers of stages.

    Names, each before its value.
    """
    fields: list[str] = []
    stamp, same = _NO_STAMP, ""
    has_long_id = len(job_id) > len(JOB_ID)
    for name, register in details.items():
        if not register.startswith(stamp):
            if name not in _DETAILS:
                fields += name, register
                continue
            code = register[DETAIL_CODE]
            stamp, same = _stamp_of(code, stages), code + SAME
        if register.startswith(stamp):
            head, value = same, register[len(stamp) :]
        else:
            head, value = _divided(register)
        if has_long_id and name in URL_DETAILS:
            value = value.replace(job_id, JOB_ID)
        text = head + value
        if len(text) < PIECE_BYTES:
            fields += name, text
        else:
            _put(fields, name, text)
    return fields


def hash_of(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the hash of a job, of which these are identity and registers by their names."""
    stages = {name: fields[name] for name in STAGE_NAMES if name in fields}
    details = {name: text for name, text in fields.items() if name not in stages and name not in IDENTITY_FIELDS}
    identity = {name: fields[name] for name in IDENTITY_FIELDS if name in fields}
    shortened = {name: stored_identifier(text) for name, text in identity.items() if name in _IDENTIFIERS}
    registers = stages_in_hash(stages) + details_in_hash(details, stages, fields.get("jobId", ""))
    return identity | shortened | dict(zip(registers[::2], registers[1::2], strict=True))


def fields_in(stored: Mapping[str, str]) -> dict[str, str]:
    """Return identity and registers by their names; what belongs to none of them is left as it is."""
    fields = dict(stored)
    for name in _IDENTIFIERS:
        if name in fields:
            fields[name] = identifier_in(fields[name])
    for name, pieces in PIECES.items():
        if len(fields.get(name, "")) == PIECE_BYTES:
            fields[name] = _taken(fields, pieces)
    for name in DETAIL_NAMES:
        if name in fields:
            fields[name] = _whole_detail(name, fields[name], fields)
    return fields


def _put(fields: list[str], name: str, register: str) -> None:
    size = len(register)
    if size < PIECE_BYTES or size > MOST_CUT_BYTES or not register.isascii():
        fields += name, register
    elif size < _TWO_PIECES:  # as most are, and as below for any
        fields += name, register[:PIECE_BYTES], PIECES[name][1], register[PIECE_BYTES:]
    else:
        for piece, at in zip(PIECES[name], range(0, size + 1, PIECE_BYTES), strict=False):
            fields += piece, register[at : at + PIECE_BYTES]


def _taken(fields: dict[str, str], pieces: tuple[str, ...]) -> str:
    """Return the text of these pieces, of which there is but the first afterwards."""
    text = fields[pieces[0]]
    for name in pieces[1:]:
        piece = fields.pop(name, "")
        text += piece
        if len(piece) != PIECE_BYTES:
            break
    return text


def _stamp_of(code: str, stages: Mapping[str, str]) -> str:
    """Return what a detail begins with that is of the same report as the register of the stage with this code."""
    stage = stages.get(_STAGE_OF_CODE[code])
    if stage is None:
        return _NO_STAMP
    time, _, event_id, _ = stage.split(SEPARATOR)
    return f"{code}{SEPARATOR}{time}{SEPARATOR}{event_id}{SEPARATOR}"


def _divided(register: str) -> tuple[str, str]:
    """Return what stands before the value of a detail, to the separator, and the value."""
    value = register.split(SEPARATOR, _STAMP_PARTS)[-1]
    return register[: len(register) - len(value)], value


def _whole_detail(name: str, stored: str, fields: Mapping[str, str]) -> str:
    head, value = stored[: DETAIL_CODE.stop], stored[DETAIL_CODE.stop + 1 :]
    stage = fields.get(_STAGE_OF_CODE.get(head, ""), "").split(SEPARATOR)
    if not is_short(stored):
        head, value = _divided(stored)
    elif len(stage) == _STAGE_PARTS:
        head = f"{head}{SEPARATOR}{stage[0]}{SEPARATOR}{stage[2]}{SEPARATOR}"
    else:
        return stored
    if name in URL_DETAILS and "jobId" in fields:
        value = value.replace(JOB_ID, fields["jobId"])
    return head + value
