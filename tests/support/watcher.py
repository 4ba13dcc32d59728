"""`python -m worker watch`, in a pipe or in a pseudo-terminal."""

import asyncio
import os
import pty
import re
import subprocess
from asyncio import unix_events
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import orjson

from tests.support.forks import Fork

END_SECONDS = 60.0
PROJECT = Path(__file__).parents[2]
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Outcome(NamedTuple):
    """How a watcher ended, and what it printed."""

    code: int
    output: str
    errors: str = ""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of JSON."""
        return [orjson.loads(line) for line in self.output.splitlines() if line.startswith("{")]

    @property
    def last(self) -> dict[str, Any]:
        """The one line about the end."""
        [end] = [line for line in self.lines if line["event"] == "end"]
        assert end == self.lines[-1]
        return end


async def start(api: str, *arguments: str, **streams: Any) -> asyncio.subprocess.Process:
    """Start a watcher that asks this API."""
    environment = {"PATH": "", "TERM": "xterm", "LANG": "C.UTF-8", "API_URL": api}
    with patch.object(unix_events, "subprocess", _FORKING):
        return await asyncio.create_subprocess_exec(
            "-m", "worker", "watch", *arguments, cwd=PROJECT, env=environment, **streams
        )


def _forked(words: tuple[str, ...], *, env: dict[str, str], **options: Any) -> Fork:
    return Fork(words, env, **options)


# What asyncio takes from the module that starts programs, for which it has no other way.
_FORKING: Final = SimpleNamespace(Popen=_forked, PIPE=subprocess.PIPE)


@asynccontextmanager
async def watcher(api: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Yield a running watcher whose streams are pipes; it is killed when it has not ended by then."""
    pipe = asyncio.subprocess.PIPE
    process = await start(api, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def watched(api: str, *arguments: str) -> Outcome:
    """Run a watcher in pipes to its end."""
    async with watcher(api, *arguments) as process:
        return await ended(process)


async def ended(process: asyncio.subprocess.Process) -> Outcome:
    """Wait for the end of a watcher in pipes."""
    async with asyncio.timeout(END_SECONDS):
        output, errors = await process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, output.decode(), errors.decode())


class Terminal:
    """A watcher in a pseudo-terminal, and what is on its screen."""

    def __init__(self, process: asyncio.subprocess.Process, screen: int) -> None:
        self.process = process
        self._screen = screen
        self._drawn = b""
        asyncio.get_running_loop().add_reader(screen, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._screen, 65536)
        except OSError:  # nobody holds the other end any more
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._screen)
        self._drawn += data

    @property
    def text(self) -> str:
        """All that was ever drawn, without escape sequences."""
        return _ESCAPES.sub("", self._drawn.decode(errors="replace")).replace("\r", "")

    async def shows(self, text: str) -> bool:
        """Tell whether a text was drawn."""
        return text in self.text

    async def end(self) -> Outcome:
        """Wait for its end."""
        async with asyncio.timeout(END_SECONDS):
            code = await self.process.wait()
        return Outcome(code, self.text)


@asynccontextmanager
async def terminal(api: str, *arguments: str) -> AsyncIterator[Terminal]:
    """Yield a watcher in a pseudo-terminal of its own; it is killed when it has not ended by then."""
    screen, other_end = pty.openpty()
    process = await start(api, *arguments, stdin=other_end, stdout=other_end, stderr=other_end)
    os.close(other_end)
    shown = Terminal(process, screen)
    try:
        yield shown
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        asyncio.get_running_loop().remove_reader(screen)
        os.close(screen)
