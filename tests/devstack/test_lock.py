"""The lock on a directory."""

import os
from pathlib import Path

import pytest

from devstack.errors import DirectoryInUseError
from devstack.lock import DirectoryLock


def test_the_second_learns_who_the_first_is(tmp_path: Path) -> None:
    """A directory has one user at a time, and whoever comes second reads the first one's process id."""
    first = DirectoryLock(tmp_path)
    first.acquire()
    with pytest.raises(DirectoryInUseError, match=rf"{tmp_path} is in use by process {os.getpid()}:"):
        DirectoryLock(tmp_path).acquire()
    first.release()


def test_a_released_directory_is_free(tmp_path: Path) -> None:
    """Whoever releases a directory leaves it to the next one."""
    first, second = DirectoryLock(tmp_path), DirectoryLock(tmp_path)
    first.acquire()
    first.release()
    second.acquire()
    with pytest.raises(DirectoryInUseError):
        first.acquire()
    second.release()
