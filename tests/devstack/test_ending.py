"""How a command ends."""

import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from devstack import ending

LIMIT_SECONDS = 60.0  # others may have the processor meanwhile
SLOW_TO_END = """
import time
from devstack.ending import ending
with ending():
    try:
        print("ready", flush=True)
        time.sleep(600)
    finally:
        print("ending", flush=True)
        time.sleep({seconds})
        print("ended", flush=True)
"""

Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.mark.parametrize("number", ending.SIGNALS)
def test_a_signal_ends_it_in_order(start_python: Start, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and a closed terminal let it clean up and end with 0."""
    process, _ = start_python("-c", SLOW_TO_END.format(seconds=0), lines=1)
    process.send_signal(number)
    assert process.communicate(timeout=LIMIT_SECONDS)[0] == "ending\nended\n"
    assert process.returncode == ending.EXIT_DONE


def test_a_second_signal_ends_it_at_once(start_python: Start) -> None:
    """The second Ctrl-C does not wait for the cleaning up; the same one passed on twice counts once."""
    process, _ = start_python("-c", SLOW_TO_END.format(seconds=600), lines=1)
    assert process.stdout
    process.send_signal(signal.SIGINT)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    time.sleep(ending.ONE_WISH_SECONDS * 1.2)  # the time is what is tested
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=LIMIT_SECONDS)[0] == ""
    assert process.returncode == ending.EXIT_INTERRUPTED
