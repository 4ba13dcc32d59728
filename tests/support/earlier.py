"""A projection as the release before wrote it: fold version 1, with registers as they are and no signs of life."""

from typing import Any

from schemas.job_hash import fields_in
from schemas.lifecycle import STAGE_NAMES
from schemas.redis_layout import JOB, NEWS, bucket_prefix, pointer_key
from schemas.registers import SEPARATOR, place_in
from tests.support.deployment import Deployment

EARLIER_VERSION = 1


def age(deployment: Deployment) -> None:
    """Write the live generation's jobs as they were written then, and have the catalog say so."""
    base = bucket_prefix(deployment.prefix, deployment.generation, 0)
    for key in list(deployment.redis.scan_iter(match=base.replace("{", "[{]") + JOB + "*", count=1000)):
        stored = {name.decode(): text.decode() for name, text in deployment.hash(key).items()}
        deployment.redis.delete(key)
        earlier: dict[Any, Any] = dict(_earlier(fields_in(stored)))
        deployment.redis.hset(key, mapping=earlier)
    deployment.redis.hset(pointer_key(deployment.prefix), "fold", str(EARLIER_VERSION))


def _earlier(fields: dict[str, str]) -> dict[str, str]:
    """Return identity and registers as version 1 had them: no last news, and no time of recording behind a record."""
    fields.pop(NEWS, None)
    for name in STAGE_NAMES:
        if name in fields:
            report, _, record = fields[name].rpartition(SEPARATOR)
            fields[name] = report + SEPARATOR + place_in(record)
    return fields
