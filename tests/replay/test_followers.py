"""Followers that cannot go on: they are replaced, but not for ever."""

import multiprocessing
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import orjson
import pytest

from devstack import free_port
from projector.operating import child_processes
from projector.replay.follow import follower_pool
from projector.replay.follow.follower_process import Task
from projector.replay.generations import switch
from projector.replay.rebuild.rebuild import Options, rebuild
from projector.settings import ProjectorSettings
from schemas.redis_layout import Pointer
from service.errors import CommandError
from service.redis import connect
from tests.support.deployment import Deployment, wait_for
from tests.support.events import event
from tests.support.peak import peak_mib
from tests.support.processes import fork_server

# What is read ahead and what is folded at once are full with the first; more than twice as much takes no more.
SOME_EVENTS, MANY_EVENTS, JOBS = 30_000, 75_000, 5_000
MESSAGE_CHARACTERS, MORE_MIB = 1_000, 20


def task(rate: float | None = None, start_seconds: float = 0.1) -> Task:
    """A task whose Kafka is away."""
    away = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", "START_TIMEOUT_SECONDS": str(start_seconds)}
    return Task(ProjectorSettings.load(away), Pointer(2, 1, 1, "cluster", "events", ("x",)), rate)


@pytest.mark.server
@pytest.mark.long(8)
def test_a_follower_that_ends_again_and_again_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever folds is told the cause instead of holding the lease for ever; before that it is tried again."""
    fork_server()  # what imports everything anew may live for longer than that
    monkeypatch.setattr(child_processes, "PROCESSES", multiprocessing.get_context("forkserver"))
    monkeypatch.setattr(follower_pool, "SETTLED_SECONDS", 5.0)
    monkeypatch.setattr(follower_pool, "MOST_ENDS", 2)
    began = time.monotonic()
    with follower_pool.following(task(), ["events/0"], 1) as pool, pytest.raises(CommandError) as told:
        wait_for(pool.check, "it gives up")
    assert time.monotonic() - began > 5
    assert re.search(
        r"partitions 0 ended \d+ times in \d+ s \(Kafka cannot be reached .*run the command again", str(told.value)
    )


def test_a_rate_is_shared_by_those_that_have_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """More processes than partitions do not make it slower."""
    started: list[Task] = []
    monkeypatch.setattr(follower_pool, "_start", started.append)
    monkeypatch.setattr(follower_pool, "_end", lambda _: None)
    with follower_pool.following(task(rate=600), ["events/0", "events/1", "events/2"], 8):
        assert [(one.partitions, one.rate) for one in started] == [([0], 200), ([1], 200), ([2], 200)]


@pytest.mark.server
def test_followers_are_less_urgent_than_those_who_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild at full speed leaves the processor to queries, as one that was given a rate does."""
    fork_server()
    monkeypatch.setattr(child_processes, "PROCESSES", multiprocessing.get_context("forkserver"))
    monkeypatch.setattr(follower_pool, "STOP_SECONDS", 0.1)  # it waits for its Kafka
    with ProcessPoolExecutor(1, child_processes.PROCESSES) as others:
        usual = others.submit(os.getpriority, os.PRIO_PROCESS, 0).result()
    with follower_pool.following(task(start_seconds=60), ["events/0"], 1) as pool:
        pid = pool.followers[0].process.pid
        assert pid
        wait_for(lambda: os.getpriority(os.PRIO_PROCESS, pid) > usual, "the follower makes way")


@pytest.mark.long(8)
@pytest.mark.parametrize(("asked", "records", "processes"), [(None, 1, 2), (None, 10**9, 1), (3, 10**9, 3)])
async def test_a_long_log_is_folded_by_two(
    folded: Deployment, monkeypatch: pytest.MonkeyPatch, asked: int | None, records: int, processes: int
) -> None:
    """Who says nothing of processes has two where the log is long, and otherwise as many as were asked for."""
    monkeypatch.setattr(switch, "LONG_LOG_RECORDS", records)
    started: list[int] = []

    def refuse(_: Task, names: Sequence[str], count: int) -> None:
        started.append(count)
        raise CommandError(f"{len(names)} partitions")

    monkeypatch.setattr(switch, "following", refuse)
    settings = ProjectorSettings.load(folded.environment)
    redis = connect(settings)
    try:
        with pytest.raises(CommandError, match=r"^3 partitions$"):
            await rebuild(settings, redis, Options(processes=asked))
    finally:
        await redis.aclose()
    assert started == [processes]


@pytest.mark.long(30)
def test_memory_is_bounded_however_long_the_log_is(deployment: Deployment) -> None:
    """What a follower reads ahead, folds at once and has under way are all bounded by their size."""
    deployment.begin_projection()
    message, peaks = "x" * MESSAGE_CHARACTERS, []
    for events in (range(SOME_EVENTS), range(SOME_EVENTS, MANY_EVENTS)):
        deployment.publish(
            (b"k", orjson.dumps(event(job=f"job-{number % JOBS}", event_id=f"e{number}", message=message)), [])
            for number in events
        )
        deployment.jump_to_end()
        peaks.append(peak_mib(deployment, "rebuild", "--processes", "1"))
    assert peaks[1] < peaks[0] + MORE_MIB
