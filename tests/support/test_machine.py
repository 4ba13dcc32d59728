"""What the processes that run tests at the same time rely on."""

import fcntl
import os
from pathlib import Path

import pytest

from devstack import free_port
from tests.support.machine import COUNT, NUMBER, share_of


@pytest.mark.xdist_group("a group")
def test_groups_are_kept_together(request: pytest.FixtureRequest) -> None:
    """What shares a server is dealt out as one: pytest-xdist has seen the group, which it writes behind the name."""
    is_dealt_out = "PYTEST_XDIST_WORKER" in os.environ
    assert request.node.nodeid.endswith("@a group") == is_dealt_out


def test_every_process_has_ports_of_its_own() -> None:
    """No two processes of a run choose the same port."""
    assert {free_port() % COUNT for _ in range(20)} == {(20_000 + NUMBER) % COUNT}


def test_alone_is_alone(tmp_path: Path) -> None:
    """Whoever wants the machine alone gets it when nobody else has a share of it, and others have it together."""
    lock = tmp_path / "lock"
    with share_of(lock, alone=False), share_of(lock, alone=False), lock.open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with share_of(lock, alone=True), lock.open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
