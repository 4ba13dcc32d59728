"""What the processes that run tests at the same time rely on."""

import os

from devstack import free_port
from tests.support.machine import LESS_URGENT, PLACE


def test_every_process_has_ports_of_its_own() -> None:
    """No two processes of a run choose the same port."""
    assert {free_port() % PLACE.count for _ in range(20)} == {(20_000 + PLACE.number) % PLACE.count}


def test_others_make_way_for_what_measures_time() -> None:
    """Any other test is less urgent, and so is what it starts, where there are others."""
    assert os.nice(0) >= LESS_URGENT or PLACE.count == 1
