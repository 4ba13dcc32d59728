"""Names of the keys and fields in Redis, and the text of a register.

Every key starts `<prefix>:{g<generation>.b<bucket>}:`, so a bucket is one cluster slot and one atomic unit: its jobs,
its indexes, its positions. A bucket holds:

| key | type | content |
|---|---|---|
| `job:<member>` | hash | `STORED_FIELDS`: the identity and the registers of one attempt |
| `owner:<owner>`, `agreement:<agreementId>`, `jobid:<jobId>` | sorted set | members by `score_of` (newest first) |
| `positions` | hash | per `<topic>/<partition>` the next offset; its fingerprint and ledger behind `#` |
| `heartbeats` | hash | per `<topic>/<partition>`: `<milliseconds of Redis' clock> <log end offset>` |
| `meta` | hash | `incarnation`, `floor:<topic>/<partition>`, `sealed` |

`<prefix>:generation` is the pointer to the generation that is read (`Pointer`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

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

# What follows `<topic>/<partition>` in `positions`. Next - start = the sum of the four counts.
FINGERPRINT: Final = "#fingerprint"
LEDGER: Final = ("#applied", "#known", "#deadlettered", "#norecord")

# Smaller than every character of an identifier, so that a shorter text sorts before a longer one that begins with it.
SEPARATOR: Final = "\t"


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
    """Which generation is live, how it is divided, and what it is a fold of."""

    live: int
    buckets: int
    fold_version: int
    cluster: str
    topic: str
    incarnations: tuple[str, ...]

    def as_fields(self) -> dict[str, str]:
        """Return the fields of the pointer's hash."""
        return {
            "live": str(self.live),
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


def incarnation_field(bucket: int) -> str:
    """Return the pointer's field that holds the incarnation of a bucket."""
    return f"{INCARNATION}:{bucket}"
