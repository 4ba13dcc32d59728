"""How a command of ours ends: in order at the first Ctrl-C, at once at the second."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from devstack.errors import DevstackError

EXIT_DONE = 0
EXIT_UNAVAILABLE = 75  # EX_TEMPFAIL: a service it needs could not be reached
EXIT_INTERRUPTED = 130  # what a shell says of Ctrl-C
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONE_WISH_SECONDS = 0.5  # a terminal and whoever started us may both pass on the same Ctrl-C


class Interrupted(BaseException):
    """The user wants this to end."""


@contextmanager
def ending() -> Iterator[None]:
    """Exit with 0 on Ctrl-C or SIGTERM, with 75 and a sentence on what went wrong, after the block has cleaned up."""
    _listen()
    try:
        yield
    except Interrupted:
        sys.exit(EXIT_DONE)
    except (DevstackError, OSError) as error:  # an OSError: the disk is full, a file may not be read
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_UNAVAILABLE)


def _listen() -> None:
    """Raise Interrupted in the main thread at the first signal; at a later one be gone, which ends the children."""
    first_at: float | None = None

    def receive(_signal: int, _frame: FrameType | None) -> None:
        nonlocal first_at
        if first_at is None:
            first_at = time.monotonic()
            raise Interrupted
        if time.monotonic() - first_at > ONE_WISH_SECONDS:
            os._exit(EXIT_INTERRUPTED)

    for number in SIGNALS:
        signal.signal(number, receive)
