"""Tests that share the machine: how they make way for each other, and leave each other's ports alone."""

import itertools
import os
import random
import signal
from dataclasses import dataclass
from functools import cache

from devstack import ports

LESS_URGENT = 10


@dataclass
class Place:
    """Which of the processes that run tests this one is, and how many there are."""

    number: int = 0
    count: int = 1


PLACE = Place()


def become_one_of(number: int, count: int) -> None:
    """Let this process be one of so many that run tests, from now on."""
    PLACE.number, PLACE.count = number, count
    use_own_ports()


@cache
def make_way() -> None:
    """Leave the processor to the process that measures time, from now on, with all that is started here.

    What measures time is dealt out first, as one. The process that gets it keeps its place until it comes to other
    tests: answers that are held to a limit while everything is broken must not be late for the sake of those.
    """
    if PLACE.count > 1:
        os.nice(LESS_URGENT)


def use_own_ports() -> None:
    """Choose ports that no other process of this run chooses, also before anybody listens there."""
    own = ports.FREE_PORTS[PLACE.number :: PLACE.count]
    ports._WAY = itertools.cycle(random.sample(own, len(own)))  # noqa: SLF001 - programs have no use for it


def be_interrupted() -> None:
    """Have programs that tests start end by Ctrl-C, also where it is ignored, as behind `make test &`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def end_apis_at_once() -> None:
    """Have no API drain at its end but where a test says so: nobody deals out requests to them."""
    os.environ["API_DRAIN_SECONDS"] = "0"
