"""Archives as tests look at them, and what Redis holds under a prefix."""

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from schemas.redis_layout import JOB, POSITIONS, bucket_prefix
from tests.support.deployment import Deployment

# Key without its prefix -> what it holds.
Content = dict[str, dict[bytes, Any]]


def content_of(deployment: Deployment, prefix: str, number: int, buckets: int = 1) -> Content:
    """Return the jobs and indexes of a generation, of all its buckets together, as the bytes that are stored."""
    content: Content = {}
    for bucket in range(buckets):
        base = bucket_prefix(prefix, number, bucket)
        for key in deployment.redis.scan_iter(match=base.replace("{", "[{]") + "*", count=10_000):
            name = key.decode().removeprefix(base)
            if name.startswith(JOB):
                content[name] = dict(deployment.hash(key))
            elif deployment.redis.type(key) == b"zset":
                found = deployment.redis.zrange(key, 0, -1, withscores=True)
                content.setdefault(name, {}).update(found)  # type: ignore[arg-type]
    return content


def positions_of(deployment: Deployment, prefix: str, number: int, bucket: int = 0) -> dict[bytes, bytes]:
    """Return the positions of a bucket, with fingerprints and ledgers."""
    return deployment.hash(bucket_prefix(prefix, number, bucket) + POSITIONS)


def sealed(lines: Sequence[bytes], **end: Any) -> bytes:
    """Return an archive of these lines, whose last one is as it should be but for what is given."""
    content = b"".join(lines)
    positions = orjson.loads(lines[0])["positions"] if lines else {}
    last = {
        "positions": {name: one["next"] for name, one in positions.items()},
        "jobs": len(lines) - 1,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return content + orjson.dumps(last | end) + b"\n"
