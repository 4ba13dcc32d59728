"""What errors mean to a client: each has its line in the one table."""

from types import ModuleType

import pytest

import api.asking.errors
import api.projection.errors
import api.web.errors
from api.asking.jobs import Jobs
from api.exchange import Answer, Question
from api.refusals import REFUSALS
from tests.support.client import StartApi
from tests.support.seeding import Projection

ROOMS = [api.asking.errors, api.projection.errors, api.web.errors]


@pytest.mark.parametrize("room", ROOMS, ids=[room.__name__ for room in ROOMS])
def test_every_error_of_a_room_has_a_meaning(room: ModuleType) -> None:
    """No error that a room can raise is missing in the table, itself or by the class above it."""
    errors = [item for item in vars(room).values() if isinstance(item, type) and issubclass(item, Exception)]
    most_special = [error for error in errors if not error.__subclasses__()]
    assert most_special
    assert [error for error in most_special if not issubclass(error, tuple(REFUSALS))] == []


async def test_a_fault_of_ours_is_told_without_what_it_is(
    start_api: StartApi, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody expected is 500 in the form of every error, and its text goes to the log alone."""

    async def broken(_: Jobs, __: Question) -> Answer:
        raise ValueError("secret")

    monkeypatch.setattr(Jobs, "answer", broken)
    answer = await (await start_api(projection.prefix)).status("owner=0x1")
    assert (answer.status, answer.error) == (500, "Internal error")
    assert answer.headers["X-Request-Id"]
