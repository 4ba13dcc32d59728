"""Tickets: credentials for one stream of one query, for clients that send no headers."""

from collections.abc import Callable

import pytest

from api.asking.credentials import ADMIN, ANYBODY
from api.asking.errors import UnauthorizedError
from api.streams import tickets as tickets_of_streams
from api.streams.tickets import TICKET_SECONDS, Tickets
from tests.support.client import STREAM, TICKET, StartApi
from tests.support.event_source import event_source
from tests.support.seeding import FINISHED_JOB, Projection

ADMIN_KEY = "sesame-sesame-16"
ADMIN_HEADER = {"Authorization": f"Bearer {ADMIN_KEY}"}

SPOILT: list[Callable[[str], str]] = [
    lambda ticket: ticket[:-1],
    lambda ticket: "B" + ticket[1:],  # another role
    lambda ticket: ticket[:20],
    lambda _: "ä",
    lambda _: "-",
]


class Clock:
    """A clock that is set by the test."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time of the tickets."""
    return Clock()


@pytest.fixture
def tickets(clock: Clock) -> Tickets:
    """Those of a process."""
    return Tickets([ADMIN_KEY.encode()], clock)


@pytest.mark.parametrize("caller", [ADMIN, ANYBODY])
def test_a_ticket_is_good_once_for_what_its_asker_may_see(tickets: Tickets, caller: object) -> None:
    """A ticket stands for the role of who asked for it, and for one stream."""
    ticket = tickets.issue(ADMIN if caller is ADMIN else ANYBODY, "query")
    assert tickets.take(ticket, "query") == caller
    with pytest.raises(UnauthorizedError, match="was used"):
        tickets.take(ticket, "query")


def test_a_ticket_ends(tickets: Tickets, clock: Clock) -> None:
    """After half a minute a ticket is good for nothing, and is not remembered any more."""
    old = tickets.issue(ADMIN, "query")
    tickets.take(tickets.issue(ADMIN, "query"), "query")
    clock.now += TICKET_SECONDS + 1
    with pytest.raises(UnauthorizedError, match="too old"):
        tickets.take(old, "query")
    assert tickets.remembered == 0


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_spoilt_ticket_is_none(tickets: Tickets, spoil: Callable[[str], str]) -> None:
    """Whatever was changed of a ticket, its role too, it is refused."""
    with pytest.raises(UnauthorizedError, match="not one that was given out"):
        tickets.take(spoil(tickets.issue(ANYBODY, "query")), "query")


def test_a_ticket_is_of_one_query_and_one_deployment(tickets: Tickets) -> None:
    """Another query, or other tokens, make it one that nobody has given out."""
    ticket = tickets.issue(ADMIN, "query")
    for other, query in ((tickets, "another"), (Tickets([b"mellon-mellon-16"]), "query"), (Tickets([]), "query")):
        with pytest.raises(UnauthorizedError, match="not one that was given out"):
            other.take(ticket, query)


def test_another_process_takes_it(tickets: Tickets, clock: Clock) -> None:
    """Processes with the same tokens, in any order, take each other's tickets: a proxy may lead anywhere."""
    assert Tickets([ADMIN_KEY.encode()], clock).take(tickets.issue(ADMIN, "query"), "query") == ADMIN


async def test_where_credentials_are_required_a_ticket_opens_one_stream(
    start_api: StartApi, projection: Projection
) -> None:
    """Without one it is 401; with one an admin's fields are told; a second time, or for another query, it is 401."""
    await projection.put([FINISHED_JOB])
    api = await start_api(projection.prefix, API_ADMIN_TOKENS=ADMIN_KEY, API_AUTH="required")
    assert (await api.get(f"{STREAM}?jobId=3333")).status == 401
    assert (await api.request("POST", f"{TICKET}?jobId=3333")).status == 401
    answer = await api.request("POST", f"{TICKET}?jobId=3333", ADMIN_HEADER)
    assert answer.json()["expiresIn"] == TICKET_SECONDS
    ticket = answer.json()["ticket"]
    assert (await api.get(f"{STREAM}?owner=0x1111&ticket={ticket}")).status == 401
    async with event_source(api, f"jobId=3333&ticket={ticket}") as source:
        (snapshot,) = await source.has("snapshot")
        assert snapshot[0]["job"]["configlogURL"] == "http://example.net/logs/config.log"
    again = await api.get(f"{STREAM}?jobId=3333&ticket={ticket}")
    assert (again.status, again.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert ticket not in again.error


async def test_a_ticket_that_comes_late_opens_nothing(
    start_api: StartApi, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a minute after it was given out the server refuses it, and says that another one is needed."""
    api = await start_api(projection.prefix, API_ADMIN_TOKENS=ADMIN_KEY, API_AUTH="required")
    monkeypatch.setattr(tickets_of_streams, "TICKET_SECONDS", -1)
    late = (await api.request("POST", f"{TICKET}?jobId=3333", ADMIN_HEADER)).json()["ticket"]
    answer = await api.get(f"{STREAM}?jobId=3333&ticket={late}")
    assert answer.status == 401
    assert "too old" in answer.error
