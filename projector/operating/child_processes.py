"""Processes that a command starts for its own work, and that end with it whatever becomes of it."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Final

MAX_PROCESSES: Final = 64
# What a command starts that has enough to do for more than one, when nobody says how many.
USUAL_PROCESSES: Final = 2
# Not a fork: that would carry over an event loop and its connections.
PROCESSES: SpawnContext | ForkServerContext = multiprocessing.get_context("spawn")


def obey_parent() -> None:
    """Have this process not heed what tells a whole group of them to end, but end with the one that started it."""
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)  # whoever would read our answers is gone
