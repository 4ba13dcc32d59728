"""What Redis answers of jobs: read, and those found that are just as the log says. Values in, values out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgpack

from projector.replay.verify.facts import Kept, unpacked
from projector.replay.verify.judgement import StoredMember, entries_of
from projector.replay.verify.stored_form import hash_of_facts


class Seen(NamedTuple):
    """How many members the answer is of, and which of these are not just as the log says, by their place."""

    members: int
    unlike: list[int]


def see(members: Sequence[bytes], answer: bytes, folded: Mapping[bytes, bytes]) -> Seen:
    """Hold an answer against the jobs that the log gives, as `facts.packed` writes them."""
    found = _unpacked(answer)
    unlike = []
    for at, (member, (_, fields, scores)) in enumerate(zip(members, found, strict=False)):
        job = folded.get(member)
        if job is None or not _is_as_logged(fields, scores, unpacked(job)):
            unlike.append(at)
    return Seen(len(found), unlike)


def _is_as_logged(fields: Sequence[str], scores: Sequence[Any], folded: Kept) -> bool:
    """Tell whether a job is written just as the log says; where it is not, it may yet be the same in other words."""
    told = [text for key, score in entries_of(folded).items() for text in (key, str(score))]
    return scores == told and _paired(fields) == hash_of_facts(folded)


def stored_members(members: Sequence[bytes], answer: bytes) -> list[StoredMember]:
    """Return what is stored of the first of the members that were asked for, as `replay/verify_read.lua` answers it."""
    return [_stored(member, *each) for member, each in zip(members, _unpacked(answer), strict=False)]


def _unpacked(answer: bytes) -> list[tuple[str, Sequence[str], Sequence[Any]]]:
    """Return type, fields and scores of each member."""
    found: list[tuple[str, Sequence[str], Sequence[Any]]] = msgpack.unpackb(answer, unicode_errors="surrogateescape")
    return found


def _stored(member: bytes, kind: str, fields: Sequence[str], scores: Sequence[Any]) -> StoredMember:
    entries = {key: _score(score) for key, score in _paired(scores).items()}
    return StoredMember(member, kind, _paired(fields), entries)


def _paired(flat: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _score(score: str | bool) -> float | str | None:  # noqa: FBT001 - as Redis says that there is none
    if isinstance(score, bool):
        return None
    return score[1:] if score.startswith("!") else float(score)
