"""Redis with users: what docs/operations.md lists for each process is enough, and what is missing is told."""

import re
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from devstack import free_port
from service.redis import connect, read_hash
from service.settings import RedisSettings
from tests.support.deployment import Deployment, get, wait_for
from tests.support.events import event
from tests.support.markdown import DOCS, table
from tests.support.redis_process import RedisProcess
from tests.support.services import Services

pytestmark = [pytest.mark.server, pytest.mark.long(20)]

STATUS = "/api/v1/operator/status?owner=0x1111"
API, PROJECTOR = ("the API", "projectors and their commands")
RULES = {process: rule.strip("`") for process, rule in table(DOCS / "operations.md", "Rights in Redis")}


def rule(process: str, prefix: str, without: str = "") -> list[str]:
    """Return the rights of a process, with the prefix of a test and without one of them."""
    parts = RULES[process].replace("operator:*", f"{prefix}:*").split()
    if without:
        parts.remove(without)
    return ["reset", "on", ">word", *parts]


def allow(deployment: Deployment, user: str, rights: list[str]) -> None:
    """Give a user these rights and no others."""
    redis: Any = deployment.redis
    redis.execute_command("ACL", "SETUSER", user, *rights)


@pytest.fixture
def guarded(services: Services, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment on a Redis of its own with a user for each process."""
    with RedisProcess(tmp_path) as process:
        on_it = Services(services.kafka_bootstrap_servers, process.url, services.source)
        with Deployment(on_it, f"rights-{uuid.uuid4().hex[:8]}", tmp_path, partitions=1) as deployment:
            for user, name in (("reader", API), ("writer", PROJECTOR)):
                allow(deployment, user, rule(name, deployment.prefix))
            yield deployment


def as_user(deployment: Deployment, user: str) -> dict[str, Any]:
    """Return the setting of a process that is this user."""
    return {"REDIS_URL": deployment.services.redis_url.replace("redis://", f"redis://{user}:word@")}


def rights_of(process: str, prefix: str) -> list[str]:
    """Return each right that docs/operations.md lists for a process."""
    return [part for part in rule(process, prefix) if part[0] in "+~%"]


def logged(deployment: Deployment, module: str) -> str:
    """Return what the process of a module has logged."""
    return next(deployment.directory.glob(f"{module}-*.log")).read_text()


def tells_of_rights(deployment: Deployment, since: int) -> bool:
    """Tell whether the projector's log, from there on, says that a right is missing, and where those needed stand."""
    told = logged(deployment, "projector")[since:]
    return re.search("a right is missing.*docs/operations.md lists", told) is not None


def test_the_listed_rights_are_enough_and_needed(guarded: Deployment) -> None:
    """Projector, API and commands work with their rights; each that is taken away is told, and given back is enough."""
    guarded.publish_event(event("started", job="0"))
    guarded.start_projector(**as_user(guarded, "writer"))
    guarded.wait_until_applied()
    address = guarded.start_api(**as_user(guarded, "reader"))
    assert [job["jobId"] for job in get(address, STATUS)[2]] == ["0"]
    for number, missing in enumerate(("+evalsha", "+@write", "+@read", "+time"), 1):
        told = logged(guarded, "projector")
        allow(guarded, "writer", rule(PROJECTOR, guarded.prefix, missing))
        guarded.publish_event(event("started", job=str(number)))
        wait_for(partial(tells_of_rights, guarded, len(told)), f"the log tells that {missing} is missing")
        allow(guarded, "writer", rule(PROJECTOR, guarded.prefix))
        guarded.wait_until_applied()
    for missing in rights_of(API, guarded.prefix):
        told = logged(guarded, "api")
        guarded.redis.script_flush()
        allow(guarded, "reader", rule(API, guarded.prefix, missing))
        status, _, answer = get(address, STATUS)
        assert (status, answer) == (503, {"error": "The store cannot be read: it refuses access"}), missing
        assert "docs/operations.md lists for the API" in logged(guarded, "api")[len(told) :], missing
        allow(guarded, "reader", rule(API, guarded.prefix))
        wait_for(lambda: get(address, STATUS)[0] == 200, "the API reads again")
    assert len(get(address, STATUS)[2]) == 5


COMMANDS = (
    ("doctor",),
    ("rebuild", "--check"),
    ("generations", "list"),
    ("generations", "rollback"),
    ("generations", "drop", "2", "--wait", "0"),
    ("verify", "--repair"),
    ("export", "--output", "{archive}"),
    ("import", "{archive}"),
    ("expire", "--before", "2000-01-01"),
)
# Which command needs a right, where it is not every one.
NEEDED_BY = {"+multi": "export", "+exec": "export"}


def test_commands_need_no_more_than_the_projector_and_no_less(guarded: Deployment) -> None:
    """Rebuild, verify, export and the others work as the projector's user, and name each right that is taken away."""
    guarded.publish_event(event())
    guarded.start_projector(**as_user(guarded, "writer"))
    guarded.wait_until_applied()
    wait_for(guarded.heartbeats, "the projector confirms how far it is")
    for command in COMMANDS:
        archive = str(guarded.directory / "archive")
        words = [word.format(archive=archive) for word in command]
        guarded.command("projector", *words, **as_user(guarded, "writer"))
    for missing in rights_of(PROJECTOR, guarded.prefix):
        guarded.redis.script_flush()
        allow(guarded, "writer", rule(PROJECTOR, guarded.prefix, missing))
        said = guarded.command("projector", NEEDED_BY.get(missing, "rebuild"), code=75, **as_user(guarded, "writer"))
        assert "(a right is missing" in said, (missing, said)
        assert "grant it, as docs/operations.md lists them" in said, (missing, said)
    told = guarded.command("projector", "doctor", code=1, **as_user(guarded, "writer"))
    assert "grant it, as docs/operations.md lists them" in told


async def test_a_cluster_needs_two_more(tmp_path: Path) -> None:
    """On a cluster the API's user must also learn where its keys are."""
    with RedisProcess(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port())) as node:
        admin: Any
        with Redis(port=node.port, protocol=2) as admin:
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            admin.execute_command("ACL", "SETUSER", "reader", *rule(API, "x"), "+cluster|slots", "+command")
            ask = partial(admin.execute_command, "CLUSTER", "INFO", NEVER_DECODE=True)
            wait_for(lambda: b"cluster_state:ok" in ask(), "it is up")
        nodes = f"127.0.0.1:1,127.0.0.1:{node.port}"  # the first one is away, and one is enough
        client = connect(RedisSettings.load({"REDIS_URL": f"redis+cluster://reader:word@{nodes}"}))
        assert await read_hash(client, "x:generation") == {}
        assert await client.eval_ro("return redis.call('HLEN', KEYS[1])", 1, "x:generation") == 0
        await client.aclose()
