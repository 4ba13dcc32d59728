"""What the processes that run tests at the same time rely on."""

import os

import pytest

from devstack import free_port
from tests.support.machine import COUNT, LESS_URGENT, NUMBER


@pytest.mark.xdist_group("a group")
def test_groups_are_kept_together(request: pytest.FixtureRequest) -> None:
    """What shares a server is dealt out as one: pytest-xdist has seen the group, which it writes behind the name."""
    is_dealt_out = "PYTEST_XDIST_WORKER" in os.environ
    assert request.node.nodeid.endswith("@a group") == is_dealt_out


def test_every_process_has_ports_of_its_own() -> None:
    """No two processes of a run choose the same port."""
    assert {free_port() % COUNT for _ in range(20)} == {(20_000 + NUMBER) % COUNT}


@pytest.mark.skipif(COUNT == 1, reason="nobody else is there to make way for")
def test_others_make_way_for_what_measures_time() -> None:
    """Any other test is less urgent, and so is what it starts."""
    assert os.nice(0) >= LESS_URGENT
