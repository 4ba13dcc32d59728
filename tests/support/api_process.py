"""`python -m api`, as an operator runs it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import until

END_SECONDS = 10


class Server:
    """A running `python -m api` and what it logs."""

    def __init__(
        self, log: Path, arguments: tuple[str, ...], environment: dict[str, str], open_files: str | None = None
    ) -> None:
        self._log = log
        command = [sys.executable, "-m", "api", *arguments]
        if open_files is not None:
            command = ["sh", "-c", f'ulimit -n {open_files} && exec "$@"', "sh", *command]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, env=os.environ | environment, stderr=output)

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
def server(directory: Path, *arguments: str, open_files: str | None = None, **environment: str) -> Iterator[Server]:
    """Yield a running server, with so many open files at most; it is killed when it has not ended by then."""
    running = Server(directory / "log", arguments, {"API_PORT": "0"} | environment, open_files)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait()


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
