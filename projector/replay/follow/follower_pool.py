"""A pool of followers: processes that fold the partitions of the log into one generation, each its own share."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final

from projector.operating import child_processes
from projector.replay.follow.follower_process import Task, follow
from service.errors import CommandError, ServiceUnavailableError

STOP_SECONDS: Final = 5.0
# A process that lives so long has begun to work. That processes end sooner is borne for as long, and so often.
SETTLED_SECONDS: Final = 60.0
MOST_ENDS: Final = 5


@dataclass(slots=True)
class _Follower:
    """A process, its task and our end of the connection to it."""

    task: Task
    process: BaseProcess
    connection: Connection
    held: dict[str, str]
    started_at: float
    failing_since: float
    ends: int = 0
    said: tuple[int, str] | None = None  # the exit code that it ends with, and why


@dataclass(frozen=True, slots=True)
class FollowerPool:
    """The followers at work."""

    followers: list[_Follower]

    def check(self) -> None:
        """Raise CommandError when one cannot go on; one that was killed, or lost Kafka or Redis, is replaced.

        But not for ever: what ends again and again would hold the lease, and nobody could build another.
        """
        for at, follower in enumerate(self.followers):
            _listen(follower)
            if follower.held:
                holds = "; ".join(f"{name} is held: {hold}" for name, hold in follower.held.items())
                raise CommandError(f"the log cannot be folded on: {holds}")
            if not follower.process.is_alive():
                _listen(follower)
                if follower.said and follower.said[0] != ServiceUnavailableError.exit_code:
                    raise CommandError(follower.said[1])
                follower.connection.close()
                self.followers[at] = _restarted(follower)


@contextmanager
def following(task: Task, names: Sequence[str], processes: int) -> Iterator[FollowerPool]:
    """Have processes fold the named partitions, up to where the live generation stands, as long as the block lasts.

    What they have applied by then stays applied.
    """
    partitions = sorted(int(name.rpartition("/")[2]) for name in names)
    shares = [share for at in range(processes) if (share := partitions[at::processes])]
    rate = task.rate / len(shares) if task.rate else None
    pool = FollowerPool([_start(replace(task, partitions=share, rate=rate)) for share in shares])
    try:
        yield pool
    finally:
        _end(pool.followers)


def _start(task: Task) -> _Follower:
    context = child_processes.PROCESSES
    ours, theirs = context.Pipe()
    process = context.Process(target=follow, args=(task, theirs), daemon=True)
    process.start()
    theirs.close()
    now = time.monotonic()
    return _Follower(task, process, ours, {}, now, now)


def _restarted(follower: _Follower) -> _Follower:
    """Return the one that follows a follower that has ended; CommandError when that would be in vain."""
    now = time.monotonic()
    has_worked = now - follower.started_at > SETTLED_SECONDS
    failing_since, ends = (now, 1) if has_worked else (follower.failing_since, follower.ends + 1)
    if ends >= MOST_ENDS and now - failing_since > SETTLED_SECONDS:
        partitions = ", ".join(map(str, follower.task.partitions))
        reason = follower.said[1] if follower.said else f"exit code {follower.process.exitcode}"
        raise CommandError(
            f"the process that folds partitions {partitions} ended {ends} times in {now - failing_since:.0f} s "
            f"({reason}): mend the cause, then run the command again, which goes on from here"
        )
    fresh = _start(follower.task)
    fresh.failing_since, fresh.ends = failing_since, ends
    return fresh


def _end(followers: Sequence[_Follower]) -> None:
    for follower in followers:
        follower.connection.close()
    for follower in followers:
        follower.process.join(STOP_SECONDS)
        if follower.process.is_alive():
            follower.process.kill()
            follower.process.join()


def _listen(follower: _Follower) -> None:
    """Take note of what a follower holds, and of why it ends, once it has said so."""
    try:
        while follower.connection.poll():
            code, message = follower.connection.recv()
            if code is None:
                follower.held = message
            else:
                follower.said = code, message
    except (EOFError, OSError):
        pass
