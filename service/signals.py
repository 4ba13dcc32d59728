"""Ending on request: the first SIGINT or SIGTERM asks, and the command finishes what it is doing."""

import asyncio
import signal


def stop_on_signals() -> asyncio.Event:
    """Return an event that is set when this process is asked to end."""
    is_asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, is_asked.set)
    return is_asked
