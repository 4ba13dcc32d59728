"""Fixtures that every kind of test shares: the real services, and a topic and a key prefix of a test's own."""

import gc
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from itertools import zip_longest

import hypothesis
import pytest
from redis.asyncio import Redis

import devstack
from tests.support.brokers import start_brokers_quickly
from tests.support.deployment import Deployment
from tests.support.machine import be_interrupted, end_apis_at_once, make_way, use_own_ports
from tests.support.reception import Reception, ask_for_services
from tests.support.services import Services, running_services, source_of_services
from tests.support.source import leave_garbage_while_parsing

# A test that uses one of these, by whatever way, needs a server.
SERVERS = frozenset({"services", "redis_url", "own_redis", "kafka_to_break"})
# Hypothesis without its deadline: machines that run these tests differ in speed. What is run while writing is shorter.
hypothesis.settings.register_profile("whole", deadline=None)
hypothesis.settings.register_profile("fast", deadline=None, max_examples=10)
hypothesis.settings.load_profile("whole")
# Where processes that run tests at the same time ask for the services.
RECEPTION = pytest.StashKey[str]()


def pytest_report_collectionfinish(items: list[pytest.Item]) -> list[str]:
    """Say which Kafka and Redis the tests run on that need them."""
    if any(item.get_closest_marker("server") for item in items):
        return [f"services: Kafka and Redis from {source_of_services()}"]
    return []


def pytest_configure() -> None:
    """Keep out of the way of the other processes that run tests, and let brokers cost little."""
    gc.disable()
    leave_garbage_while_parsing()
    be_interrupted()
    use_own_ports()
    start_brokers_quickly()
    end_apis_at_once()


@pytest.hookimpl(tryfirst=True)  # before tests are chosen and dealt out by what is marked here
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server, and have what measures time run first, in one process, one after the other."""
    for item in items:
        if SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("server")
        if item.get_closest_marker("alone"):
            item.add_marker(pytest.mark.group("alone"))
    first = [item for item in items if item.get_closest_marker("alone") or item.get_closest_marker("long")]
    known = set(first)
    others = [item for item in items if item not in known]
    items[:] = sorted(first, key=_turn) + _from_both_ends(others)


def _turn(item: pytest.Item) -> tuple[bool, float]:
    """Return when it is the test's turn: the longest first, so that nobody waits for them at the end."""
    long = item.get_closest_marker("long")
    return item.get_closest_marker("alone") is None, -long.args[0] if long else 0


def _from_both_ends(items: list[pytest.Item]) -> list[pytest.Item]:
    """Take them from the front and from the end by turns.

    Those at the end wait for programs that they start, so that others should compute meanwhile; those in the middle are
    many and short, so that all processes end at the same time.
    """
    half = (len(items) + 1) // 2
    pairs = zip_longest(items[:half], reversed(items[half:]))
    return [item for pair in pairs for item in pair if item]


def pytest_collection_finish() -> None:
    """Have nobody look for garbage among thousands of tests: they are there until the end."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # before it starts any server
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have a test make way for those that measure time."""
    if not item.get_closest_marker("alone"):
        make_way()


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Have services for all processes that will run tests, if any of these needs them."""
    if getattr(session.config.option, "forks", 0) and any(item.get_closest_marker("server") for item in session.items):
        with Reception() as reception:
            session.config.stash[RECEPTION] = reception.address
            return (yield)
    return (yield)


def pytest_unconfigure() -> None:
    """Do not look for garbage once more."""
    gc.freeze()


@pytest.fixture(scope="session")
def services(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A real Kafka and a real Redis for the whole run."""
    if address := request.config.stash.get(RECEPTION, None):
        yield ask_for_services(address)
        return
    with running_services(tmp_path_factory.mktemp("services")) as running:
        yield running


@pytest.fixture(autouse=True)
def _server_is_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have a test that starts a server without saying so fail: it would be run where there is none.

    With a patch of its own: the test's own one must end before what it uses is taken down.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not request.node.get_closest_marker("server"):
            for server in (devstack.Kafka, devstack.Redis):
                patch.setattr(server, "start", _refuse)
        yield


def _refuse(*_: object) -> None:
    pytest.fail("a test that starts a server is marked `server`")


@pytest.fixture
def deployment(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A topic and a key prefix of the test's own, and the processes that the test starts on them."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    with Deployment(services, name, tmp_path_factory.mktemp("deployment")) as deployment:
        yield deployment


@pytest.fixture
async def redis(services: Services) -> AsyncIterator[Redis]:
    """A client of the real Redis."""
    client = Redis.from_url(services.redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def prefix(redis: Redis) -> AsyncIterator[str]:
    """A key prefix of the test's own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    keys = [key async for key in redis.scan_iter(match=f"{name}:*", count=10_000)]
    if keys:
        await redis.delete(*keys)
