"""Jobs that have expired and were taken out, as they are remembered for a while: who they were, and when they went.

A job is an entry of three digests, of its jobId, its owner and its agreement, in two sorted sets beside all
generations: by the entries themselves, where those of a jobId stand together, and by when they went.
"""

from hashlib import sha1
from typing import Final

from schemas.identity import canonical_hex

# How many are remembered, and for how long.
MAX_GONE: Final = 50_000
GONE_DAYS: Final = 90

_DIGEST_CHARACTERS: Final = 12
# Behind every digit of a digest in the order of bytes.
_BEHIND: Final = "g"


def gone_keys(prefix: str) -> tuple[str, str]:
    """Return the keys of both sets, which are in one slot of a cluster: by entry, and by time."""
    return f"{prefix}:{{gone}}:jobs", f"{prefix}:{{gone}}:times"


def gone_entry(owner: str, agreement_id: str, job_id: str) -> str:
    """Return what is remembered of a job, whatever its attempts."""
    return _digest(job_id) + _digest(owner) + _digest(agreement_id)


def entries_from(job_id: str) -> str:
    """Return what all entries of a jobId begin with."""
    return _digest(job_id)


def entries_to(job_id: str) -> str:
    """Return what stands behind all entries of a jobId."""
    return _digest(job_id) + _BEHIND


def is_named(entry: str, owner: str | None, agreement_id: str | None) -> bool:
    """Tell whether an entry is of this owner and this agreement, as far as they are given."""
    of_owner, of_agreement = entry[_DIGEST_CHARACTERS : 2 * _DIGEST_CHARACTERS], entry[2 * _DIGEST_CHARACTERS :]
    return (owner is None or of_owner == _digest(owner.lower())) and (
        agreement_id is None or of_agreement == _digest(canonical_hex(agreement_id))
    )


def _digest(text: str) -> str:
    return sha1(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]  # noqa: S324 - it tells apart and keeps no secret
