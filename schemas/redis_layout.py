"""Names of the keys and fields in Redis.

Every key starts `<prefix>:{g<generation>.b<bucket>}:`, so a bucket is one cluster slot and one atomic unit: its jobs,
its indexes, its positions. A bucket holds:

| key | type | content |
|---|---|---|
| `job:<member>` | hash | `STORED_FIELDS`: the identity and the registers (see `registers`) of one attempt |
| `owner:<owner>`, `agreement:<agreementId>`, `jobid:<jobId>` | sorted set | members by `score_of` (newest first) |
| `positions` | hash | per `<topic>/<partition>` the next offset; its fingerprint and ledger behind `#` |
| `heartbeats` | hash | per `<topic>/<partition>`: `<milliseconds of Redis' clock> <log end offset>` |
| `meta` | hash | `incarnation`, `floor:<topic>/<partition>`, `sealed` |

`<prefix>:generation` is the catalog (hash): the fields of `Pointer` name the generation that is read; beside them

| field | content |
|---|---|
| `epoch` | number, one higher with each change of the catalog's lease |
| `lease` | `<token> <end in milliseconds of Redis' clock> <who holds it>`; only its holder changes generations |
| `generation:<number>` | `KeptGeneration` as JSON: a generation that is not live |
| `skipped:<topic>/<partition>/<offset>` | the offset up to which records were passed over by command |
| `began`, `starts` | of the live generation, as in `KeptGeneration` |
| `cutoff` | time in sortable form; a job without news since then is not shown |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import orjson

from schemas.job_event import DETAIL_NAMES
from schemas.lifecycle import STAGE_NAMES

# Counts what a reader or another projector must know to share a projection; a different one needs a rebuild.
FOLD_VERSION: Final = 1

IDENTITY_FIELDS: Final = ("owner", "agreementId", "jobId", "attempt")
STORED_FIELDS: Final = (*IDENTITY_FIELDS, *STAGE_NAMES, *DETAIL_NAMES)
# The key of an index is its name and the identifier; the order is that of IDENTITY_FIELDS.
INDEXES: Final = ("owner:", "agreement:", "jobid:")

JOB: Final = "job:"
POSITIONS: Final = "positions"
HEARTBEATS: Final = "heartbeats"
META: Final = "meta"

INCARNATION: Final = "incarnation"
SEALED: Final = "sealed"
FLOOR: Final = "floor:"

# The most digits of an offset, an epoch or a time in milliseconds: Lua counts exactly as far.
MOST_DIGITS: Final = 15
# The floor of a partition whose end is not known yet, beyond every offset: until then nobody can tell what is whole.
UNKNOWN_END: Final = 10**MOST_DIGITS - 1

EPOCH: Final = "epoch"
LEASE: Final = "lease"
KEPT: Final = "generation:"
SKIPPED: Final = "skipped:"
CUTOFF: Final = "cutoff"
BEGAN: Final = "began"
STARTS: Final = "starts"
# A job's field: the generation from which a rebuild took what the log no longer holds.
CARRIED: Final = "carried"

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


BUILDING: Final = "building"
IMPORTING: Final = "importing"
COMPLETE: Final = "complete"
DROPPING: Final = "dropping"


def incarnation_field(bucket: int) -> str:
    """Return the pointer's field that holds the incarnation of a bucket."""
    return f"{INCARNATION}:{bucket}"


def number_in(stored: bytes) -> int:
    """Return a stored offset, epoch or time in milliseconds; ValueError when nobody of ours can have written it."""
    if not stored.isdigit() or len(stored) > MOST_DIGITS:
        raise ValueError(f"{stored[:MOST_DIGITS]!r} is no number")
    return int(stored)
