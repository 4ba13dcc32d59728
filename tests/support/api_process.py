"""`python -m api`, as an operator runs it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.support.processes import Forked, Process, Start
from tests.support.waiting import until

END_SECONDS = 10


class Server:
    """A running `python -m api` and what it logs."""

    def __init__(self, log: Path, process: Process) -> None:
        self._log = log
        self.process = process

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text()

    async def address(self) -> str:
        """Return where it listens."""

        async def told() -> str | None:
            assert self.process.poll() is None, self.log
            match = re.search(r"listening address=(\S+)", self.log)
            return match and match[1]

        address: str = await until(told, "it listens", 30)
        return address

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(END_SECONDS)


@contextmanager
def served(start: Start, directory: Path, *arguments: str, **environment: str) -> Iterator[Server]:
    """Yield a running server that is started in this way; it is killed when it has not ended by then."""
    log = directory / "log"
    log.unlink(missing_ok=True)
    running = Server(log, start("api", arguments, os.environ | {"API_PORT": "0"} | environment, Path(os.devnull), log))
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait()


server = partial(served, Forked)  # one that is measured is `started`


def with_open_files(limit: int) -> Start:
    """Return how a program is started that may have so many files open."""

    def start(
        module: str, arguments: Sequence[str], environment: Mapping[str, str], output: Path, errors: Path
    ) -> Process:
        limited = ["sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh", sys.executable, "-m", module, *arguments]
        with output.open("ab") as out, errors.open("ab") as err:
            return subprocess.Popen(limited, env=environment, stdout=out, stderr=err)

    return start


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run it to its end and return the exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
