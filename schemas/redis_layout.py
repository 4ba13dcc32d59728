"""Names of the keys and fields in Redis.

Every key starts `<prefix>:{g<generation>.b<bucket>}:`, so a bucket is one cluster slot and one atomic unit: its jobs,
its indexes, its positions. A bucket holds:

| key | type | content |
|---|---|---|
| `job:<member>` | hash | `STORED_FIELDS`: identity and `registers` of one attempt, as `job_hash` writes them |
| `owner:<owner>`, `agreement:<agreementId>`, `jobid:<jobId>` | sorted set | members by `score_of` (newest first) |
| `refused`, `refused-times` | sorted set | `RefusedEvent`s by job, and by when they were recorded |
| `positions` | hash | per `<topic>/<partition>` the next offset; its fingerprint and ledger behind `#` |
| `heartbeats` | hash | per `<topic>/<partition>` a `Heartbeat` |
| `meta` | hash | `incarnation`, `floor:<topic>/<partition>`, `sealed`, `sift` (a `Sift`) |
| `changes` | stream | the feed: an entry for each step that changed jobs (see `projector/store/lua/feed.lua`) |

`<prefix>:generation` is the catalog (hash): the fields of `Pointer` name the generation that is read; beside them

| field | content |
|---|---|
| `epoch` | number, one higher with each change of the catalog's lease |
| `lease` | `<token> <end in milliseconds of Redis' clock> <who holds it>`; only its holder changes generations |
| `generation:<number>` | `KeptGeneration` as JSON: a generation that is not live |
| `skipped:<topic>/<partition>/<offset>` | the offset up to which records were passed over by command |
| `began`, `starts` | of the live generation, as in `KeptGeneration` |
| `switched` | the epoch of the switch by which the live generation became that; not there when it was the first |
| `cutoff` | time in sortable form; a job without news since then is not shown |
| `cutoff-raised` | when that was set, in milliseconds of Redis' clock |
| `kept-for` | the age in seconds that was given for it: so long without news a job is kept, if that goes on |

Beside them `<prefix>:{gone}:jobs` and `<prefix>:{gone}:times` remember jobs that went (see `gone_job`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

import orjson

from schemas.event_time import LATEST_MILLISECONDS
from schemas.job_event import DETAIL_NAMES
from schemas.lifecycle import STAGE_NAMES

# Counts what a reader or another projector must know to share a projection; a different one needs a rebuild.
FOLD_VERSION: Final = 2

IDENTITY_FIELDS: Final = ("owner", "agreementId", "jobId", "attempt")
# When a stage that was reported again was reported last: a sign of life.
NEWS: Final = "news"
STORED_FIELDS: Final = (*IDENTITY_FIELDS, *STAGE_NAMES, *DETAIL_NAMES, NEWS)
# The key of an index is its name and the identifier; the order is that of IDENTITY_FIELDS.
INDEXES: Final = ("owner:", "agreement:", "jobid:")

JOB: Final = "job:"
POSITIONS: Final = "positions"
HEARTBEATS: Final = "heartbeats"
META: Final = "meta"
CHANGES: Final = "changes"
# What is remembered of refused events that name a job: by that job, and by when they were recorded.
REFUSED: Final = "refused"
REFUSED_TIMES: Final = "refused-times"

INCARNATION: Final = "incarnation"
SEALED: Final = "sealed"
FLOOR: Final = "floor:"
SIFT: Final = "sift"

# The most digits of an offset, an epoch or a time in milliseconds: Lua counts exactly as far.
MOST_DIGITS: Final = 15
# The floor of a partition whose end is not known yet, beyond every offset: until then nobody can tell what is whole.
UNKNOWN_END: Final = 10**MOST_DIGITS - 1

EPOCH: Final = "epoch"
LEASE: Final = "lease"
KEPT: Final = "generation:"
SKIPPED: Final = "skipped:"
CUTOFF: Final = "cutoff"
CUTOFF_RAISED: Final = "cutoff-raised"
KEPT_FOR: Final = "kept-for"
BEGAN: Final = "began"
SWITCHED: Final = "switched"
STARTS: Final = "starts"
# A job's field: the generation from which a rebuild took what the log no longer holds.
CARRIED: Final = "carried"

# Why a partition is held, or lags, as its heartbeat tells it: short, for machines; documented in docs/http.md.
LOG_REPLACED: Final = "log-replaced"
EVENTS_GONE: Final = "events-gone"
NO_LEADER: Final = "no-leader"
UNREADABLE: Final = "unreadable"
LETTERS_AWAY: Final = "letters-away"
DAMAGED_KEY: Final = "damaged-key"
TRANSACTION: Final = "transaction"
SIFT_ROUNDS: Final = 2
_SIFT: Final = re.compile(rb"([12]) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})")
_NO_END: Final = "-"
_HEARTBEAT: Final = re.compile(rb"(\d+) (\d+|-)(?: ([a-z-]+))?")
# With these nobody can say how many events are missing: the log is another one, has lost them, or is not to be had.
ENDLESS_CODES: Final = frozenset({LOG_REPLACED, EVENTS_GONE, NO_LEADER})
HOLD_CODES: Final = (*sorted(ENDLESS_CODES), UNREADABLE, LETTERS_AWAY, DAMAGED_KEY)
# What a heartbeat tells: a partition behind a transaction is not held, for it goes on by itself.
TOLD_CODES: Final = (*HOLD_CODES, TRANSACTION)

# What follows `<topic>/<partition>` in `positions`. Next - start = the sum of the four counts.
FINGERPRINT: Final = "#fingerprint"
LEDGER: Final = ("#applied", "#known", "#deadlettered", "#norecord")


def pointer_key(prefix: str) -> str:
    """Return the key of the pointer to the live generation."""
    return f"{prefix}:generation"


def bucket_prefix(prefix: str, generation: int, bucket: int) -> str:
    """Return what every key of a bucket starts with."""
    return f"{prefix}:{{g{generation}.b{bucket}}}:"


def partition_name(topic: str, partition: int) -> str:
    """Return the field under which a partition is known in `positions`, `heartbeats` and `meta`."""
    return f"{topic}/{partition}"


def score_of(created_unix_seconds: int) -> int:
    """Return the score of an index entry: ascending order is newest first, exact to the second that users see."""
    return -created_unix_seconds


@dataclass(frozen=True, slots=True)
class Pointer:
    """A generation: its number, how it is divided, and what it is a fold of; the catalog's own fields name the live."""

    number: int
    buckets: int
    fold_version: int
    cluster: str
    topic: str
    incarnations: tuple[str, ...]

    def as_fields(self) -> dict[str, str]:
        """Return the fields of the pointer's hash."""
        return {
            "live": str(self.number),
            "buckets": str(self.buckets),
            "fold": str(self.fold_version),
            "cluster": self.cluster,
            "topic": self.topic,
            **{incarnation_field(bucket): value for bucket, value in enumerate(self.incarnations)},
        }

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> Self:
        """Return the pointer that `HGETALL` answered; KeyError or ValueError when it is damaged."""
        text = {name.decode(): value.decode() for name, value in fields.items()}
        buckets = int(text["buckets"])
        return cls(
            int(text["live"]),
            buckets,
            int(text["fold"]),
            text["cluster"],
            text["topic"],
            tuple(text.get(incarnation_field(bucket), "") for bucket in range(buckets)),
        )


@dataclass(frozen=True, slots=True)
class KeptGeneration:
    """A generation that is not live.

    States: building (a rebuild fills it, and the next one resumes it) -> complete; importing (an import fills it, and
    the next one removes it) -> complete; live -> complete (another one went live); complete -> live (rolled back to
    it); building, importing or complete -> dropping (its keys are being deleted) -> gone.
    `began` and `retired` are milliseconds of Redis' clock, `retired` 0 when it was never live. `starts` has the offset
    of each partition at which its fold begins, where that is not 0: what came before was gone from the log.
    """

    pointer: Pointer
    state: str
    began: int
    retired: int = 0
    starts: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> str:
        """Return the content of the catalog's field."""
        pointer = self.pointer
        content = {
            "buckets": pointer.buckets,
            "fold": pointer.fold_version,
            "cluster": pointer.cluster,
            "topic": pointer.topic,
            "incarnations": pointer.incarnations,
            "state": self.state,
            "began": self.began,
            "retired": self.retired,
            "starts": dict(self.starts),
        }
        return orjson.dumps(content).decode()

    @classmethod
    def from_json(cls, number: int, content: bytes) -> Self:
        """Return the generation that a field of the catalog describes; KeyError or ValueError when it is damaged."""
        fields: dict[str, Any] = orjson.loads(content)
        incarnations = tuple(fields["incarnations"])
        pointer = Pointer(number, fields["buckets"], fields["fold"], fields["cluster"], fields["topic"], incarnations)
        return cls(pointer, fields["state"], fields["began"], fields["retired"], fields["starts"])


class Heartbeat(NamedTuple):
    """How far the log went, and when that was known: `<milliseconds> <end> [code]`, with `-` for an end of None.

    `milliseconds` is Redis' clock before the log was asked. `end` is the offset behind the last record, whether that
    can be read yet or not (the high watermark); None where it is not known, or says nothing about what is missing.
    `code`, one of `TOLD_CODES`, is why the partition does not go on; None when it does.
    """

    milliseconds: int
    end: int | None
    code: str | None = None

    @property
    def stored(self) -> str:
        """The stored value."""
        return f"{self.milliseconds} {log_seen(self.end, self.code)}"

    @classmethod
    def of(cls, stored: bytes) -> Self:
        """Return the heartbeat that is stored; ValueError when it is damaged."""
        found = _HEARTBEAT.fullmatch(stored)
        if not found or number_in(found[1]) > LATEST_MILLISECONDS:
            raise ValueError(f"{stored!r} is no heartbeat")
        milliseconds, end, code = found.groups()
        known = None if end == _NO_END.encode() else number_in(end)
        return cls(number_in(milliseconds), known, code.decode() if code else None)


class Sift(NamedTuple):
    """What a bucket says of itself that is filled without jobs that have no news since a cutoff: in two rounds.

    In both a job that is not stored is made only by news. So the first, of which nothing is shown, finds those that
    have some, and the second, again from the log's start, completes them.
    """

    round: int
    cutoff: str

    @property
    def stored(self) -> str:
        """The text in Redis."""
        return f"{self.round} {self.cutoff}"

    @property
    def next(self) -> "Sift | None":
        """What follows once the round is over; None when nothing is left to be done."""
        return Sift(self.round + 1, self.cutoff) if self.round < SIFT_ROUNDS else None

    @classmethod
    def of(cls, stored: bytes) -> Self:
        """Return what the text in Redis says; ValueError when it is damaged."""
        found = _SIFT.fullmatch(stored)
        if found is None:
            raise ValueError(f"{stored!r} is no round and cutoff")
        return cls(int(found[1]), found[2].decode())


def log_seen(end: int | None, code: str | None) -> str:
    """Return what a heartbeat has behind its time."""
    return " ".join(filter(None, (_NO_END if end is None else str(end), code)))


BUILDING: Final = "building"
IMPORTING: Final = "importing"
COMPLETE: Final = "complete"
DROPPING: Final = "dropping"


def incarnation_field(bucket: int) -> str:
    """Return the pointer's field that holds the incarnation of a bucket."""
    return f"{INCARNATION}:{bucket}"


def number_in(stored: bytes) -> int:
    """Return a stored offset, epoch or time in milliseconds; ValueError when nobody of ours can have written it."""
    if not stored.isdigit() or len(stored) > MOST_DIGITS or (stored[:1] == b"0" and len(stored) > 1):
        raise ValueError(f"{stored[:MOST_DIGITS]!r} is no number")
    return int(stored)
