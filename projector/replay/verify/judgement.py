"""Judging a job: what is stored of it beside what the log says. Values in, values out."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from projector.replay.verify.difference import Difference, Kind, Note
from projector.replay.verify.facts import Facts, Kept, Reached, Said
from projector.replay.verify.stored_form import StoredFacts, facts_in, fields_of, hash_of_facts, index_keys
from schemas.event_time import unix_seconds
from schemas.job_hash import fields_in
from schemas.lifecycle import STAGES
from schemas.redis_layout import CARRIED, IDENTITY_FIELDS, NEWS, REFUSED, REFUSED_TIMES, score_of
from schemas.refused_event import RefusedEvent, newest
from schemas.registers import SEPARATOR, place_in

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


class StoredRefused(NamedTuple):
    """What a bucket remembers of refused events: entry -> score; the type of a key that is no sorted set."""

    by_job: Mapping[str, float] | str
    by_time: Mapping[str, float] | str


# Partition name -> the offset at which the log begins.
Starts = Mapping[str, int]


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


_ALL_WELL: Final = Verdict([])


def judge(stored: StoredMember, folded: Kept | None, rules: Rules) -> Verdict:
    """Hold what is stored under a member against what the log gives it."""
    if folded is not None and stored.fields == hash_of_facts(folded) and stored.entries == entries_of(folded):
        return _ALL_WELL
    live = facts_in(stored.fields, stored.member)
    name = _name(stored.member, folded or (live.kept if live else None))
    right: StoredFacts | None = None
    if folded:
        differences, right, note = _known(name, stored, live, folded, rules)
    elif live and _has_lost_events(live, rules.starts):
        differences, right, note = [], live, Note.CARRIED
    elif CARRIED in stored.fields:
        return Verdict([Difference(Kind.LOST, name)])
    else:
        differences, note = _surplus(name, stored), None
    return _verdict(name, stored, differences, right, note)


def _verdict(
    name: str,
    stored: StoredMember,
    differences: list[Difference],
    right: StoredFacts | None,
    note: Note | None,
) -> Verdict:
    entries = entries_of(right.kept) if right else {}
    differences += _entry_differences(name, stored.entries, entries)
    if not differences:
        return Verdict([], None, note)
    gone = [key for key in stored.entries if key not in entries]
    return Verdict(differences, Mend(stored.member, hash_of_facts(*right) if right else None, entries, gone), note)


def _known(
    name: str, stored: StoredMember, live: StoredFacts | None, folded: Kept, rules: Rules
) -> tuple[list[Difference], StoredFacts | None, Note | None]:
    """Return the differences of a job that the log knows, what is right, and why that is not what the log says."""
    right = StoredFacts(folded, None)
    if stored.kind == NONE and folded.last_news < rules.cutoff:
        return [], None, Note.EXPIRED
    if stored.kind == NONE:
        return [Difference(Kind.MISSING_JOB, name)], right, None
    if stored.kind != HASH:
        return [Difference(Kind.WRONG_TYPE, name, stored=stored.kind, log=HASH)], right, None
    as_stored = _field_differences(name, stored.fields, hash_of_facts(folded))
    if live is None:  # not a job as we write them, so nothing excuses it
        return as_stored, right, None
    # Where a job says the same, it is the way in which it is written that differs.
    differences = _field_differences(name, fields_in(stored.fields), fields_of(folded)) or as_stored
    is_older = _has_lost_events(live, rules.starts)
    excuses = [_excuse(one.field, live.kept, folded, rules, is_older=is_older) for one in differences]
    notes = [note for note in (Note.CARRIED if is_older else None, *excuses) if note]
    differences = [difference for difference, excuse in zip(differences, excuses, strict=True) if excuse is None]
    if not notes:
        return differences, right, None
    both = Facts(folded.identity).take(live.kept).take(folded).kept
    return differences, StoredFacts(both, live.carried) if differences else live, notes[-1]


def _field_differences(name: str, stored: Mapping[str, str], expected: Mapping[str, str]) -> list[Difference]:
    return [
        Difference(Kind.FIELD, name, field_name, stored.get(field_name), expected.get(field_name))
        for field_name in sorted({*expected, *stored} - {CARRIED})
        if stored.get(field_name) != expected.get(field_name)
    ]


def _excuse(name: str, live: Kept, folded: Kept, rules: Rules, *, is_older: bool) -> Note | None:
    """Return why a job may hold another fact than the log says, or None when it may not."""
    if name == NEWS:
        return _excuse_of_news(live, folded, rules, is_older=is_older)
    ours: Reached | Said | None
    theirs: Reached | Said | None
    reached = live.stages.get(name), folded.stages.get(name)
    said = live.details.get(name), folded.details.get(name)
    is_stage = any(reached)
    ours, theirs = reached if is_stage else said
    if ours is not None and (theirs is None or (ours < theirs) == is_stage):
        # Of a detail nothing tells where it was recorded.
        return Note.CARRIED if is_older or (rules.has_lost and not is_stage) else None
    if theirs is None:
        return None
    return Note.SPOKE_AGAIN if theirs.time < rules.cutoff else None


def _excuse_of_news(live: Kept, folded: Kept, rules: Rules, *, is_older: bool) -> Note | None:
    """Return why a job may know of other signs of life than the log says, or None when it may not.

    What a job has of a stage that was reported again after the rest had gone is that report alone: no repetition.
    """
    ours, theirs = live.news, folded.news
    if theirs is None or (ours is not None and ours > theirs):
        return Note.CARRIED if is_older or rules.has_lost else None
    stage = STAGES[theirs.stage_code - 1].name
    known = live.stages.get(stage)
    is_all_that_is_left = known is not None and known.time == theirs.time
    before = folded.stages[stage].time if is_all_that_is_left else theirs.time
    return Note.SPOKE_AGAIN if before < rules.cutoff else None


def judge_refused(
    place: str, stored: StoredRefused, logged: Collection[str], rules: Rules
) -> tuple[list[Difference], dict[str, int]]:
    """Hold what a bucket remembers of refused events against the log; return what differs, and what is right.

    What the log has lost stays, and what is before the cutoff may be there or not.
    """
    held = zip((REFUSED, REFUSED_TIMES), stored, strict=True)
    differences = [Difference(Kind.WRONG_TYPE, place, key, kind, "zset") for key, kind in held if isinstance(kind, str)]
    by_job, by_time = ({} if isinstance(kind, str) else kind for kind in stored)
    known = newest([*logged, *(entry for entry in by_job if _is_lost(entry, rules.starts))])
    right = {entry: at for entry, at in known.items() if RefusedEvent.of(entry).letter.time >= rules.cutoff}
    for entry in sorted((by_job.keys() | by_time.keys() | right.keys()) - (known.keys() - right.keys())):
        if (entry in by_job, by_time.get(entry)) != (entry in right, right.get(entry)):
            sides = ["remembered" if side else None for side in (entry in by_job, entry in right)]
            differences.append(Difference(Kind.REFUSED, place, entry.replace(SEPARATOR, " "), *sides))
    return differences, right


def _is_lost(entry: str, starts: Starts) -> bool:
    """Tell whether a refused event was recorded before the place where the log begins."""
    try:
        partition, _, offset = RefusedEvent.of(entry).record.rpartition("/")
        return int(offset) < starts.get(partition, 0)
    except ValueError:
        return False


def _has_lost_events(stored: StoredFacts, starts: Starts) -> bool:
    """Tell whether events of a job were recorded before the place where the log begins."""
    if stored.carried:
        return True
    recorded = (place_in(reached.record).rpartition("/") for reached in stored.kept.stages.values())
    return any(int(offset) < starts.get(partition, 0) for partition, _, offset in recorded)


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


def entries_of(kept: Kept) -> dict[str, int]:
    """Return the index entries that a job has: the key of each index, and the score there."""
    return dict.fromkeys(index_keys(kept.identity), score_of(unix_seconds(kept.created)))


def _name(member: bytes, kept: Kept | None) -> str:
    if kept is None:
        return f"job {member.decode(errors='backslashreplace')}"
    return "job " + " ".join(f"{name}={value}" for name, value in zip(IDENTITY_FIELDS, kept.identity, strict=True))
