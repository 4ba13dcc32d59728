"""A Redis cluster: every bucket is one slot, and the script runs once for each."""

import asyncio
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio.cluster import RedisCluster

from api.projection.store import CALL_TIMEOUT_SECONDS
from devstack import free_port
from schemas.identity import bucket_of
from schemas.redis_layout import META, pointer_key
from tests.support.client import Client, StartApi
from tests.support.redis_process import RedisProcess, client_of
from tests.support.seeding import PARTITION, Job, Projection
from tests.support.waiting import until

pytestmark = pytest.mark.alone


async def test_a_cluster_is_read_bucket_by_bucket(start_api: StartApi, tmp_path: Path) -> None:
    """On a cluster answers are the same: merged, fresh, 503 without a bucket, and in time when a node hangs."""
    with cluster_node(tmp_path, free_port()) as node:
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
            await redis.client_kill_filter(skipme=True, _type="normal")
            assert len({job["jobId"] for job in await api.jobs("owner=0x1111")}) == 2000
            node.signal(signal.SIGSTOP)
            assert (await api.status("owner=0x1111")).status == 503
            node.signal(signal.SIGCONT)
            await until(lambda: _is_answered(api), "the API answers again")
            await redis.delete(projection.key(META, 2))
            assert (await api.status("owner=0x1111")).status == 503
        node.kill()
        for _ in range(3):
            assert (await api.status("owner=0x1111")).error == "The store cannot be read: no connection"


async def test_a_node_that_hangs_delays_nobody_at_the_others(start_api: StartApi, tmp_path: Path) -> None:
    """While one node of a cluster hangs, lookups in the buckets of the others are answered as fast as ever."""
    directories = [tmp_path / name for name in ("first", "second")]
    for directory in directories:
        directory.mkdir()
    with ExitStack() as stack:
        buses = [free_port() for _ in directories]
        nodes = [stack.enter_context(cluster_node(*each)) for each in zip(directories, buses, strict=True)]
        async with client_of(nodes[0].url) as first, client_of(nodes[1].url) as second:
            await first.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
            await second.execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
            await first.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[1].port, buses[1])
            await until(lambda: _is_whole(first, second), "the cluster is up")
            cluster = RedisCluster.from_url(nodes[0].url)
            projection = Projection(cluster, "test", buckets=4)
            await projection.begin()
            jobs = [Job(job_id=f"job-{number}") for number in range(100)]
            for job in jobs:
                await projection.put([job])
            owners = [cluster.keyslot(projection.key(META, bucket)) > 8191 for bucket in range(4)]
            has_pointer = cluster.keyslot(pointer_key("test")) > 8191
            await cluster.aclose()
        assert set(owners) == {True, False}
        api = await start_api("test", REDIS_URL=f"redis+cluster://127.0.0.1:{nodes[0].port}")
        await until(lambda: _is_answered(api), "the API knows the cluster")
        assert len(await api.jobs("owner=0x1111")) == 100
        near = next(job for job in jobs if owners[bucket_of(job.member, 4)] == has_pointer)
        far = next(job for job in jobs if owners[bucket_of(job.member, 4)] != has_pointer)
        assert (await api.status(query_of(far))).status == 200
        nodes[not has_pointer].signal(signal.SIGSTOP)
        slowest = 0.0
        for _ in range(5):
            hanging = [asyncio.create_task(api.status(query_of(far))) for _ in range(3)]
            for _ in range(10):
                await asyncio.sleep(0.01)
                started = time.monotonic()
                assert (await api.status(query_of(near))).status == 200
                slowest = max(slowest, time.monotonic() - started)
            assert {answer.status for answer in await asyncio.gather(*hanging)} == {503}
        nodes[not has_pointer].signal(signal.SIGCONT)
    assert slowest < CALL_TIMEOUT_SECONDS / 2


def cluster_node(directory: Path, bus: int) -> RedisProcess:
    """Return a node of a cluster; its second port would else be one that clients' connections take."""
    return RedisProcess(directory, "--cluster-enabled", "yes", "--cluster-port", str(bus))


def query_of(job: Job) -> str:
    """Return the query that only one bucket can answer."""
    return f"owner={job.owner}&agreementId={job.agreement_id}&jobId={job.job_id}"


async def _is_whole(*nodes: Any) -> bool:
    states = [await node.execute_command("CLUSTER", "INFO", NEVER_DECODE=True) for node in nodes]
    return all(b"cluster_state:ok" in state and b"cluster_known_nodes:2" in state for state in states)


async def _is_answered(api: Client) -> bool:
    return (await api.status("owner=0x1111&limit=1")).status == 200
