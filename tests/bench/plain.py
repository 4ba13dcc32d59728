"""The plain alternative: what one writes first. aiokafka, and one redis.asyncio pipeline for each batch of records.

It is tuned as far as its shape allows (hiredis, uvloop, no timer for each reply, large batches, no transaction), and it
does less than the projector: it validates nothing, orders nothing, and its positions are not atomic with its data.
"""

import time
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis

from schemas.lifecycle import STAGE_BY_EVENT_TYPE

KEPT = ("configlogURL", "publishlogURL", "algologURL", "outputsURL")
BATCH_RECORDS = 4_000


async def project(  # noqa: PLR0917 - called once
    bootstrap_servers: str, topic: str, partitions: int, events: int, redis_url: str, prefix: str
) -> float:
    """Fold so many events from the topic's start into Redis; return the seconds from first record to last write."""
    redis = Redis.from_url(redis_url, socket_timeout=None)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_bytes=32 << 20,
        max_partition_fetch_bytes=4 << 20,
    )
    await consumer.start()
    consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
    done, started = 0, 0.0
    try:
        while done < events:
            polled = await consumer.getmany(timeout_ms=1000, max_records=BATCH_RECORDS)
            started = started or time.perf_counter()
            pipeline = redis.pipeline(transaction=False)
            for records in polled.values():
                for record in records:
                    _write(pipeline, prefix, orjson.loads(record.value))
                done += len(records)
            await pipeline.execute()
        return time.perf_counter() - started
    finally:
        await consumer.stop()
        await redis.aclose()


def _write(pipeline: Any, prefix: str, event: dict[str, Any]) -> None:
    data = event["data"]
    stage = STAGE_BY_EVENT_TYPE[event["type"]]
    name = f"{data['owner'].lower()}:{data['agreementId'].lower()}:{data['jobId']}:{data.get('attempt', 1)}"
    fields = {"owner": data["owner"], "agreementId": data["agreementId"], "jobId": data["jobId"]}
    fields["status"] = str(stage.code)
    fields[stage.name] = event["time"]
    for detail in KEPT:
        if detail in data:
            value = data[detail]
            fields[detail] = value if isinstance(value, str) else orjson.dumps(value).decode()
    pipeline.hset(f"{prefix}:job:{name}", mapping=fields)
    score = int(event["time"][11:13])
    pipeline.zadd(f"{prefix}:owner:{data['owner']}", {name: score})
    pipeline.zadd(f"{prefix}:agreement:{data['agreementId']}", {name: score})
    pipeline.zadd(f"{prefix}:jobid:{data['jobId']}", {name: score})
