"""What a process uses, as Linux tells it."""

from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")
_NANOSECONDS: Final = 1e9


class Usage(NamedTuple):
    """Resident memory, open files (sockets among them), threads and tasks of a process."""

    resident_kib: int
    files: int
    threads: int
    tasks: int


# How much more than in the beginning a process may use once all is well again.
ALLOWANCE: Final = Usage(resident_kib=128 * 1024, files=12, threads=6, tasks=12)


def usage_of(pid: int, tasks: int = 0) -> Usage:
    """Return what a process uses, which only itself can say of its tasks; OSError when it is gone."""
    status = dict(line.split(":", 1) for line in (_PROC / str(pid) / "status").read_text().splitlines() if ":" in line)
    files = sum(1 for _ in (_PROC / str(pid) / "fd").iterdir())
    return Usage(int(status["VmRSS"].split()[0]), files, int(status["Threads"]), tasks)


def excess(usage: Usage, base: Usage) -> list[str]:
    """Return, in words, what a process uses beyond its base and the allowance."""
    return [
        f"{name} {used}, {at_first} at first"
        for name, used, at_first, more in zip(Usage._fields, usage, base, ALLOWANCE, strict=True)
        if used > at_first + more
    ]


def waited_seconds(pid: int) -> float:
    """Return how long the process' main thread has been ready to run without a core to run on."""
    return int((_PROC / str(pid) / "schedstat").read_text().split()[1]) / _NANOSECONDS
