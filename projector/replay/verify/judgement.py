"""Judging a job: what is stored of it beside what the log says. Values in, values out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from projector.fold.job import FoldedJob
from projector.fold.stored_job import fields_of, job_of
from projector.replay.lost import Starts, has_lost_events
from projector.replay.verify.difference import Difference, Kind, Note
from schemas.event_time import unix_seconds
from schemas.expiry import has_news_since
from schemas.identity import JobIdentity
from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import CARRIED, IDENTITY_FIELDS, INDEXES, score_of
from schemas.registers import DETAIL_TIME, STAGE_TIME

HASH: Final = "hash"
NONE: Final = "none"


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
    starts: Starts
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
    is_equal = folded is not None and stored.fields == fields_of(folded)
    live = folded if is_equal else _as_job(stored)
    name = _name(stored.member, folded or live)
    if folded:
        differences, right, note = _known(name, stored, live, folded, rules)
    elif live and has_lost_events(live, rules.starts):
        differences, right, note = [], live, Note.CARRIED
    elif CARRIED in stored.fields:
        return Verdict([Difference(Kind.LOST, name)])
    else:
        differences, right, note = _surplus(name, stored), None, None
    entries = _entries_of(right) if right else {}
    differences += _entry_differences(name, stored.entries, entries)
    if not differences:
        return Verdict([], None, note)
    gone = [key for key in stored.entries if key not in entries]
    return Verdict(differences, Mend(stored.member, fields_of(right) if right else None, entries, gone), note)


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
    differences = _field_differences(name, stored.fields, fields_of(folded))
    if live is None:  # not a job as we write them, so nothing excuses it
        return differences, folded, None
    is_older = has_lost_events(live, rules.starts)
    excuses = [_excuse(difference, rules, is_older=is_older) for difference in differences]
    notes = [note for note in (Note.CARRIED if is_older else None, *excuses) if note]
    differences = [difference for difference, excuse in zip(differences, excuses, strict=True) if excuse is None]
    if not notes:
        return differences, folded, None
    if differences:
        live.join(folded)
    return differences, live, notes[-1]


def _field_differences(name: str, stored: Mapping[str, str], expected: Mapping[str, str]) -> list[Difference]:
    return [
        Difference(Kind.FIELD, name, field_name, stored.get(field_name), expected.get(field_name))
        for field_name in sorted({*expected, *stored} - {CARRIED})
        if stored.get(field_name) != expected.get(field_name)
    ]


def _excuse(difference: Difference, rules: Rules, *, is_older: bool) -> Note | None:
    """Return why a register of a job may be another one than the log says, or None when it may not."""
    ours, theirs = difference.stored, difference.log
    is_stage = difference.field in STAGE_NAMES
    is_beyond = ours is not None and (theirs is None or (ours < theirs) == is_stage)
    if is_beyond:
        # Of a detail nothing tells where it was recorded.
        return Note.CARRIED if is_older or (rules.has_lost and not is_stage) else None
    if theirs is None:
        return None
    return Note.SPOKE_AGAIN if theirs[STAGE_TIME if is_stage else DETAIL_TIME] < rules.cutoff else None


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
    """Return the job that the fields hold, or None when they hold none, or one that has another member."""
    try:
        return job_of(stored.fields, stored.member)
    except ValueError:
        return None


def _entries_of(job: FoldedJob) -> dict[str, int]:
    return dict.fromkeys(index_keys(job.identity), score_of(unix_seconds(job.created)))


def _name(member: bytes, job: FoldedJob | None) -> str:
    if job is None:
        return f"job {member.decode(errors='backslashreplace')}"
    return "job " + " ".join(f"{name}={value}" for name, value in zip(IDENTITY_FIELDS, job.identity, strict=True))
