"""Who a job is: (owner, agreementId, jobId, attempt), written one way only.

The same jobId under another owner is another job, so nobody can overwrite somebody else's.
"""

import re
from binascii import b2a_base64
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple
from zlib import crc32

MAX_IDENTIFIER_CHARACTERS: Final = 256
MAX_ATTEMPT: Final = 2**63 - 1

_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]+\Z")
_BEFORE_A: Final = ord("a") - 1
_DIGEST_BYTES: Final = 16
_DIGEST_CHARACTERS: Final = 22  # 16 bytes in base64 without padding


class JobIdentity(NamedTuple):
    """One attempt of one job; the owner in lower case, the agreement as `canonical_hex` writes it."""

    owner: str
    agreement_id: str
    job_id: str
    attempt: int


def canonical_hex(identifier: str) -> str:
    """Return the identifier in lower case when it is 0x-hex, whose letter case means nothing; else unchanged."""
    lower = identifier.lower()
    return lower if lower != identifier and _HEX.match(identifier) else identifier


def job_digest(owner: str, agreement_id: str, job_id: str) -> str:
    """Return 22 characters that stand for the identity without its attempt (128 bits, base64).

    Identifiers hold no control characters, so joining them with NUL is unambiguous.
    """
    joined = f"{owner}\0{agreement_id}\0{job_id}".encode()
    return b2a_base64(blake2b(joined, digest_size=_DIGEST_BYTES).digest())[:_DIGEST_CHARACTERS].decode()


def job_member(identity: JobIdentity) -> str:
    """Return the short name of one attempt, for keys and index entries.

    The attempt follows the digest so that attempts of a job sort by number when the names are compared as bytes.
    """
    return job_digest(identity.owner, identity.agreement_id, identity.job_id) + sortable_number(identity.attempt)


# Most attempts are the first or the second.
@lru_cache(maxsize=64)
def sortable_number(number: int) -> str:
    """Return a number with its number of digits in front ("a" is one digit): as text it sorts by number."""
    digits = str(number)
    return f"{chr(_BEFORE_A + len(digits))}{digits}"


def bucket_of(member: str, buckets: int) -> int:
    """Return the bucket, 0 to buckets - 1, that holds every attempt of the job whose member or digest this is."""
    if buckets == 1:
        return 0
    return crc32(member[:_DIGEST_CHARACTERS].encode()) % buckets
