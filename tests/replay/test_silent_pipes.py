"""Ctrl-C ends a command that waits for the other end of a pipe, where nobody reads, writes, or is at all."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import pytest

from projector.replay.archive import waiting
from schemas.redis_layout import pointer_key
from service.errors import StoppedError
from tests.support.deployment import Deployment, wait_for

SOON_SECONDS: Final = 10
# What the kernel says a thread of a process waits in.
WAITS: Final = ("pipe_read", "pipe_write", "wait_for_partner")
NAMED: Final = "a named pipe"


@contextmanager
def full_pipe() -> Iterator[IO[bytes]]:
    """Yield the end to write to of a pipe that has no room."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writing, True)
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb", buffering=0) as pipe:
        yield pipe


def waits(process: "subprocess.Popen[bytes]") -> bool:
    """Tell whether a process waits for the other end of a pipe."""
    assert process.poll() is None, "it has ended"
    waiting_in = [path.read_text() for path in Path(f"/proc/{process.pid}/task").glob("*/wchan")]
    return any(one.endswith(WAITS) for one in waiting_in)


@pytest.mark.long(10)
@pytest.mark.parametrize(
    "arguments",
    [("export",), ("export", "--zstd"), ("export", "--output", NAMED), ("import",), ("import", NAMED)],
    ids=" ".join,
)
def test_ctrl_c_ends_the_wait_for_a_pipe(deployment: Deployment, arguments: Sequence[str], tmp_path: Path) -> None:
    """It says what is live, with the exit code that such an end has, and the file that was there stays a pipe."""
    projector = deployment.start_projector()
    wait_for(lambda: deployment.redis.exists(pointer_key(deployment.prefix)), "a projection is there")
    deployment.stop(projector)
    named = tmp_path / "pipe"
    os.mkfifo(named)
    words = [str(named) if word == NAMED else word for word in arguments]
    command = [sys.executable, "-m", "projector", *words]
    with (
        full_pipe() as full,
        subprocess.Popen(
            command, env=deployment.environment, stdin=subprocess.PIPE, stdout=full, stderr=subprocess.PIPE
        ) as process,
    ):
        try:
            wait_for(lambda: waits(process), "it waits")
            process.send_signal(signal.SIGINT)
            assert process.wait(SOON_SECONDS) == StoppedError.exit_code
        finally:
            process.kill()
        assert process.stderr
        said = process.stderr.read()
    assert b"error: stopped: generation 1 is live\n" in said
    assert named.is_fifo()


async def test_what_a_reader_raises_is_raised() -> None:
    """Nothing is lost between the thread that reads and whoever waits for it."""
    with pytest.raises(ValueError, match="invalid literal"):
        await waiting.read_beside(lambda: bytes(int("x")))
    assert await waiting.read_beside(lambda: b"content") == b"content"
