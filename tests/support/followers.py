"""Followers that are forked, as other processes that tests start, instead of importing everything anew."""

import multiprocessing
import multiprocessing.forkserver
from typing import Any

from projector.operating import child_processes


def fork_followers(server: str) -> None:
    """Have this process, a child of one that has a fork server, start followers there."""
    own: Any = multiprocessing.forkserver._forkserver  # noqa: SLF001 - there is no public way
    own._forkserver_address = server  # noqa: SLF001 - as above
    own.ensure_running = lambda: None  # it would ask for a child that is not its own, or start another server
    child_processes.PROCESSES = multiprocessing.get_context("forkserver")
