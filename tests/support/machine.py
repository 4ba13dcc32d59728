"""Tests that share the machine: how they take turns, and leave each other's ports alone."""

import fcntl
import itertools
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack import ports

# What pytest-xdist says to each of the processes that run tests.
NUMBER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
COUNT = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
LESS_URGENT = 5


def make_way() -> None:
    """Leave the processor to the first process of this run, which begins with the longest test.

    That one holds answers to a limit while everything is broken, and must not be late for the sake of other tests.
    """
    if NUMBER:
        os.nice(LESS_URGENT)


def use_own_ports() -> None:
    """Choose ports that no other process of this run chooses, also before anybody listens there."""
    own = ports.FREE_PORTS[NUMBER % COUNT :: COUNT]
    ports._WAY = itertools.cycle(random.sample(own, len(own)))  # noqa: SLF001 - programs have no use for it


def end_apis_at_once() -> None:
    """Have no API drain at its end but where a test says so: nobody deals out requests to them."""
    os.environ["API_DRAIN_SECONDS"] = "0"


@contextmanager
def share_of(lock: Path, *, alone: bool) -> Iterator[None]:
    """Run beside others, or alone once they have ended; whoever comes meanwhile waits."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
