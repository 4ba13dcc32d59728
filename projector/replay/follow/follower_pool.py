"""A pool of followers: processes that fold the partitions of the log into one generation, each its own share."""

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final

from projector.replay.follow.follower_process import Task, follow
from service.errors import CommandError, ServiceUnavailableError

MAX_PROCESSES: Final = 64
STOP_SECONDS: Final = 5.0


@dataclass(slots=True)
class _Follower:
    """A process, its task and our end of the connection to it."""

    task: Task
    process: BaseProcess
    connection: Connection
    held: dict[str, str]


@dataclass(frozen=True, slots=True)
class FollowerPool:
    """The followers at work."""

    followers: list[_Follower]

    def check(self) -> None:
        """Raise CommandError when one cannot go on; one that was killed, or lost Kafka or Redis, is replaced."""
        for at, follower in enumerate(self.followers):
            reason = _listen(follower)
            if follower.held:
                holds = "; ".join(f"{name} is held: {hold}" for name, hold in follower.held.items())
                raise CommandError(f"the log cannot be folded on: {holds}")
            if not follower.process.is_alive():
                reason = reason or _listen(follower)
                if reason and reason[0] != ServiceUnavailableError.exit_code:
                    raise CommandError(reason[1])
                follower.connection.close()
                self.followers[at] = _start(follower.task)


@contextmanager
def following(task: Task, names: Sequence[str], processes: int) -> Iterator[FollowerPool]:
    """Have processes fold the named partitions, up to where the live generation stands, as long as the block lasts.

    What they have applied by then stays applied.
    """
    partitions = sorted(int(name.rpartition("/")[2]) for name in names)
    shares = [partitions[at::processes] for at in range(processes)]
    rate = task.rate / processes if task.rate else None
    pool = FollowerPool([_start(replace(task, partitions=share, rate=rate)) for share in shares if share])
    try:
        yield pool
    finally:
        _end(pool.followers)


def _start(task: Task) -> _Follower:
    # Not a fork: that would carry over an event loop and its connections.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=follow, args=(task, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Follower(task, process, ours, {})


def _end(followers: Sequence[_Follower]) -> None:
    for follower in followers:
        follower.connection.close()
    for follower in followers:
        follower.process.join(STOP_SECONDS)
        if follower.process.is_alive():
            follower.process.kill()
            follower.process.join()


def _listen(follower: _Follower) -> tuple[int, str] | None:
    """Return why a follower ended, if it said so; take note of what it holds."""
    try:
        while follower.connection.poll():
            code, message = follower.connection.recv()
            if code is not None:
                return code, message
            follower.held = message
    except (EOFError, OSError):
        pass
    return None
