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


def tells_of_rights(deployment: Deployment, since: int) -> bool:
    """Tell whether the log, from there on, says that a right is missing."""
    return re.search("no permission|can't run this command", deployment.logs()[since:]) is not None


def test_the_listed_rights_are_enough_and_needed(guarded: Deployment) -> None:
    """Projector, API and commands work with their rights; each that is taken away is told, and given back is enough."""
    guarded.publish_event(event("started", job="0"))
    guarded.start_projector(**as_user(guarded, "writer"))
    guarded.wait_until_applied()
    address = guarded.start_api(**as_user(guarded, "reader"))
    assert [job["jobId"] for job in get(address, STATUS)[2]] == ["0"]
    for number, missing in enumerate(("+evalsha", "+@write", "+@read", "+time"), 1):
        told = guarded.logs()
        allow(guarded, "writer", rule(PROJECTOR, guarded.prefix, missing))
        guarded.publish_event(event("started", job=str(number)))
        wait_for(partial(tells_of_rights, guarded, len(told)), f"the log tells that {missing} is missing")
        allow(guarded, "writer", rule(PROJECTOR, guarded.prefix))
        guarded.wait_until_applied()
    for missing in ("+evalsha_ro", "+@read", "+time", f"%R~{guarded.prefix}:*"):
        allow(guarded, "reader", rule(API, guarded.prefix, missing))
        assert get(address, STATUS)[0] == 503, missing
        allow(guarded, "reader", rule(API, guarded.prefix))
        wait_for(lambda: get(address, STATUS)[0] == 200, "the API reads again")
    assert len(get(address, STATUS)[2]) == 5


COMMANDS = (
    ("doctor",),
    ("rebuild", "--check"),
    ("generations", "list"),
    ("verify", "--repair"),
    ("export", "--output", "{archive}"),
)


def test_commands_need_no_more_than_the_projector(guarded: Deployment) -> None:
    """Rebuild, verify, export and the others work as the projector's user."""
    guarded.publish_event(event())
    guarded.start_projector(**as_user(guarded, "writer"))
    guarded.wait_until_applied()
    wait_for(guarded.heartbeats, "the projector confirms how far it is")
    for command in COMMANDS:
        archive = str(guarded.directory / "archive")
        words = [word.format(archive=archive) for word in command]
        guarded.command("projector", *words, **as_user(guarded, "writer"))


async def test_a_cluster_needs_two_more(tmp_path: Path) -> None:
    """On a cluster the API's user must also learn where its keys are."""
    with RedisProcess(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port())) as node:
        admin: Any
        with Redis(port=node.port, protocol=2) as admin:
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            admin.execute_command("ACL", "SETUSER", "reader", *rule(API, "x"), "+cluster|slots", "+command")
            ask = partial(admin.execute_command, "CLUSTER", "INFO", NEVER_DECODE=True)
            wait_for(lambda: b"cluster_state:ok" in ask(), "it is up")
        client = connect(RedisSettings.load({"REDIS_URL": f"redis+cluster://reader:word@127.0.0.1:{node.port}"}))
        assert await read_hash(client, "x:generation") == {}
        assert await client.eval_ro("return redis.call('HLEN', KEYS[1])", 1, "x:generation") == 0
        await client.aclose()
