"""How a program begins: quietly when it is interrupted at once, and with a sentence when something is not installed.

This module loads next to nothing, so that it is there before what takes its time to load.
"""

import importlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# The same as in service.errors, which a program that lacks its packages cannot count on.
EXIT_USAGE: Final = 2
_STANDARD_ERROR: Final = 2


def run(room: str, commands: str) -> None:
    """Load a room's command line, `module:name`, run it, and end the process with the exit code of its outcome."""
    module, _, name = commands.partition(":")
    open_standard_streams()
    try:
        with interrupts_end_at_once():
            loaded = getattr(importlib.import_module(module), name)
            run_command = importlib.import_module("service.command_line").run_command
    except ModuleNotFoundError as error:
        sys.stderr.write(f"error: {missing(room, error)}\n")
        sys.exit(EXIT_USAGE)
    run_command(loaded)


def open_standard_streams() -> None:
    """Have what was closed of standard input, output and error (`>&-`) lead nowhere.

    Else the first sockets get their numbers, which the event loop takes for a fault of its own and ends the process.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(opened, True)  # noqa: FBT003 - its only argument, and it takes no name
    os.close(opened)
    # Python has none of those that were closed when it started, and what writes expects one.
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - for good
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - for good
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 - for good


@contextmanager
def interrupts_end_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process without a word while the block runs, unless it is ignored."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def missing(room: str, error: ModuleNotFoundError) -> str:
    """Return what to install when a module is not there."""
    return f"{error.name} is not installed, which this command needs: pip install 'operator-status-servers[{room}]'"
