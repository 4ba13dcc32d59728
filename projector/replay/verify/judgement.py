"""Judging a job: what is stored of it beside what the log says. Values in, values out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from projector.fold.job import FoldedJob
from projector.replay.verify.difference import Difference, Kind, Note
from schemas.event_time import SORTABLE_CHARACTERS, unix_seconds
from schemas.expiry import has_news_since
from schemas.identity import JobIdentity, job_member
from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import (
    CARRIED,
    DETAIL_TIME,
    IDENTITY_FIELDS,
    INDEXES,
    SEPARATOR,
    STAGE_TIME,
    STORED_FIELDS,
    score_of,
)

HASH: Final = "hash"
NONE: Final = "none"
_KNOWN_FIELDS: Final = frozenset((*STORED_FIELDS, CARRIED))
_STAGE_PARTS: Final = 4


@dataclass(frozen=True, slots=True)
class StoredMember:
    """What is stored under a member: the type of its key, its fields when that is a hash, and its index entries.

    `entries` has index key (without what every key of the bucket starts with) -> score, None when there is none, or
    the type of the key when that is not a sorted set.
    """

    member: bytes
    kind: str
    fields: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, float | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a job may lack: news before the cutoff, and what was recorded before the log begins."""

    cutoff: str
    starts: Mapping[str, int]
    has_lost: bool


@dataclass(frozen=True, slots=True)
class Mend:
    """What makes a member right: its fields (None: no key), the entries that it has, and those it has not."""

    member: bytes
    fields: Mapping[str, str] | None
    entries: Mapping[str, int]
    gone: Sequence[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a member, what would mend it, and what is to be said of it."""

    differences: list[Difference]
    mend: Mend | None = None
    note: Note | None = None


def index_keys(identity: JobIdentity) -> list[str]:
    """Return the keys of the indexes that name a job, without what every key of the bucket starts with."""
    return [index + str(value) for index, value in zip(INDEXES, identity, strict=False)]


def judge(stored: StoredMember, folded: FoldedJob | None, rules: Rules) -> Verdict:
    """Hold what is stored under a member against what the log gives it."""
    live = _as_job(stored)
    name = _name(stored.member, folded or live)
    if folded:
        differences, right, note = _known(name, stored, live, folded, rules)
    elif live and _is_older(live, rules):
        differences, right, note = [], live, Note.CARRIED
    elif CARRIED in stored.fields:
        return Verdict([Difference(Kind.LOST, name)])
    else:
        differences, right, note = _surplus(name, stored), None, None
    entries = _entries_of(right)
    differences += _entry_differences(name, stored.entries, entries)
    if not differences:
        return Verdict([], None, note)
    gone = [key for key in stored.entries if key not in entries]
    return Verdict(differences, Mend(stored.member, _hash_of(right), entries, gone), note)


def _known(
    name: str, stored: StoredMember, live: FoldedJob | None, folded: FoldedJob, rules: Rules
) -> tuple[list[Difference], FoldedJob | None, Note | None]:
    """Return the differences of a job that the log knows, what is right, and why that is not what the log says."""
    if stored.kind == NONE and not has_news_since(rules.cutoff, folded.stages.values(), folded.details.values()):
        return [], None, Note.EXPIRED
    if stored.kind == NONE:
        return [Difference(Kind.MISSING_JOB, name)], folded, None
    if stored.kind != HASH:
        return [Difference(Kind.WRONG_TYPE, name, stored=stored.kind, log=HASH)], folded, None
    if live is None:  # not a job as we write them, so nothing excuses it
        return _fields(name, stored, folded, replace(rules, cutoff="", has_lost=False), is_older=False)[0], folded, None
    differences, note = _fields(name, stored, folded, rules, is_older=_is_older(live, rules))
    if note is None:
        return differences, folded, None
    if differences:
        live.join(folded)
    return differences, live, note


def _fields(
    name: str, stored: StoredMember, folded: FoldedJob, rules: Rules, *, is_older: bool
) -> tuple[list[Difference], Note | None]:
    """Return the fields that are not as the log says, and why others may be so."""
    expected = _hash_of(folded) or {}
    differences: list[Difference] = []
    note: Note | None = Note.CARRIED if is_older else None
    for field_name in sorted({*expected, *stored.fields} - {CARRIED}):
        ours, theirs = stored.fields.get(field_name), expected.get(field_name)
        if ours == theirs:
            continue
        may_differ = _may_differ(field_name, ours, theirs, rules, is_older=is_older)
        if may_differ:
            note = may_differ
        else:
            differences.append(Difference(Kind.FIELD, name, field_name, ours, theirs))
    return differences, note


def _may_differ(field_name: str, ours: str | None, theirs: str | None, rules: Rules, *, is_older: bool) -> Note | None:
    """Return why a register may be another one than the log says, or None when it may not."""
    if field_name in IDENTITY_FIELDS or field_name not in _KNOWN_FIELDS:
        return None
    is_stage = field_name in STAGE_NAMES
    if ours is not None and not (_is_stage(ours) if is_stage else _is_detail(ours)):
        return None
    is_beyond = ours is not None and (theirs is None or (ours < theirs) == is_stage)
    if is_beyond:
        # Of a detail nothing tells where it was recorded.
        return Note.CARRIED if is_older or (rules.has_lost and not is_stage) else None
    return Note.SPOKE_AGAIN if theirs is not None and _time_of(field_name, theirs) < rules.cutoff else None


def _entry_differences(
    name: str, stored: Mapping[str, float | str | None], expected: Mapping[str, int]
) -> Iterator[Difference]:
    for key, score in stored.items():
        wanted = expected.get(key)
        if score == wanted:
            continue
        if isinstance(score, str):
            if wanted is not None:
                yield Difference(Kind.WRONG_TYPE, name, key, score, "zset")
        elif score is None:
            yield Difference(Kind.MISSING_ENTRY, name, key, None, str(wanted))
        elif wanted is None:
            yield Difference(Kind.SURPLUS_ENTRY, name, key, f"{score:.0f}", None)
        else:
            yield Difference(Kind.SCORE, name, key, f"{score:.0f}", str(wanted))


def _surplus(name: str, stored: StoredMember) -> list[Difference]:
    if stored.kind == NONE:
        return []
    if stored.kind == HASH:
        return [Difference(Kind.SURPLUS_JOB, name)]
    return [Difference(Kind.WRONG_TYPE, name, stored=stored.kind)]


def _as_job(stored: StoredMember) -> FoldedJob | None:
    """Return the job that the fields give, or None when they are not those of a job with this member."""
    fields = dict(stored.fields)
    try:
        owner, agreement_id, job_id, attempt = (fields.pop(name) for name in IDENTITY_FIELDS)
        identity = JobIdentity(owner, agreement_id, job_id, int(attempt))
        is_its_own = job_member(identity).encode() == stored.member and str(identity.attempt) == attempt
    except (KeyError, ValueError):
        return None
    stages = {name: fields.pop(name) for name in STAGE_NAMES if name in fields}
    is_whole = (
        is_its_own
        and stages
        and all(map(_is_stage, stages.values()))
        and all(name in _KNOWN_FIELDS and (name == CARRIED or _is_detail(text)) for name, text in fields.items())
    )
    return FoldedJob(identity, stages, fields) if is_whole else None


def _is_older(job: FoldedJob, rules: Rules) -> bool:
    """Tell whether events of the job were recorded before the place where the log begins."""
    if CARRIED in job.details:
        return True
    for register in job.stages.values():
        partition, _, offset = register.rpartition(SEPARATOR)[2].rpartition("/")
        if offset.isdecimal() and int(offset) < rules.starts.get(partition, 0):
            return True
    return False


def _is_stage(register: str) -> bool:
    return register.count(SEPARATOR) == _STAGE_PARTS - 1 and _is_time(register[STAGE_TIME])


def _is_detail(register: str) -> bool:
    return register.count(SEPARATOR) >= _STAGE_PARTS - 1 and _is_time(register[DETAIL_TIME])


def _is_time(text: str) -> bool:
    try:
        unix_seconds(text)
    except ValueError:
        return False
    return len(text) == SORTABLE_CHARACTERS


def _time_of(field_name: str, register: str) -> str:
    return register[STAGE_TIME if field_name in STAGE_NAMES else DETAIL_TIME]


def _hash_of(job: FoldedJob | None) -> dict[str, str] | None:
    if job is None:
        return None
    return dict(zip(IDENTITY_FIELDS, map(str, job.identity), strict=True)) | job.stages | job.details


def _entries_of(job: FoldedJob | None) -> dict[str, int]:
    if job is None:
        return {}
    return dict.fromkeys(index_keys(job.identity), score_of(unix_seconds(job.created)))


def _name(member: bytes, job: FoldedJob | None) -> str:
    if job is None:
        return f"job {member.decode(errors='backslashreplace')}"
    return "job " + " ".join(f"{name}={value}" for name, value in zip(IDENTITY_FIELDS, job.identity, strict=True))
