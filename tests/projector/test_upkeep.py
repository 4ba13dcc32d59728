"""The regular duties beside the loop."""

import pytest

from projector import upkeep
from projector.upkeep import Duty, keep_up


class EnoughError(Exception):
    """What ends the upkeep of a test."""


async def test_duties_are_done_in_order_each_at_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each duty has its turns, one after the other, until one of them says that the process must end."""
    monkeypatch.setattr(upkeep, "TURN_SECONDS", 0)
    done: list[str] = []

    async def always() -> None:
        done.append("always")

    async def seldom() -> None:
        done.append("seldom")

    async def watch() -> None:
        if len(done) > 5:
            raise EnoughError

    with pytest.raises(EnoughError):
        await keep_up([Duty(1, always), Duty(2, seldom), Duty(1, watch)])
    assert done == ["always", "always", "seldom", "always", "always", "seldom"]
