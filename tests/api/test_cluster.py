"""A Redis cluster: every bucket is one slot, and the script runs once for each."""

import signal
from pathlib import Path

from schemas.redis_layout import META
from tests.api.client import Client
from tests.api.conftest import RedisProcess, StartApi, client_of, until
from tests.api.seeding import PARTITION, Job, Projection


async def test_a_cluster_is_read_bucket_by_bucket(start_api: StartApi, tmp_path: Path) -> None:
    """On a cluster answers are the same: merged, fresh, 503 without a bucket, and in time when a node hangs."""
    with RedisProcess(tmp_path, "--cluster-enabled", "yes") as node:
        async with client_of(node.url) as redis:
            await redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)

            async def is_up() -> bool:
                return b"cluster_state:ok" in await redis.execute_command("CLUSTER", "INFO", NEVER_DECODE=True)

            await until(is_up, "the cluster is up")
            projection = Projection(redis, "test", buckets=4)
            await projection.begin()
            await projection.put(Job(job_id=f"job-{number}") for number in range(2000))
            await projection.stand({PARTITION: 5}, {PARTITION: 6})
            api = await start_api("test", REDIS_URL=f"redis+cluster://127.0.0.1:{node.port}")
            assert len({job["jobId"] for job in await api.jobs("owner=0x1111")}) == 2000
            answer = await api.status("owner=0x1111&agreementId=0x2222&jobId=job-7")
            assert (len(answer.json()), answer.headers["Projection-Lag"]) == (1, "1")
            node.signal(signal.SIGSTOP)
            assert (await api.status("owner=0x1111")).status == 503
            node.signal(signal.SIGCONT)
            await until(lambda: _is_answered(api), "the API answers again")
            await redis.delete(projection.key(META, 2))
            assert (await api.status("owner=0x1111")).status == 503
        node.kill()
        for _ in range(3):
            assert (await api.status("owner=0x1111")).error == "The store cannot be read: no connection"


async def _is_answered(api: Client) -> bool:
    return (await api.status("owner=0x1111&limit=1")).status == 200
