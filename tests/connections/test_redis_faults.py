"""A Redis that is set up otherwise than its client: one sentence names what is wrong and what to change."""

import re
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from devstack import free_port
from projector.settings import ProjectorSettings
from projector.store.memory import require_primary
from service.errors import ServiceUnavailableError
from service.redis import connect
from tests.support.certificates import Certificates
from tests.support.redis_process import RedisProcess, client_of
from tests.support.tls_redis import TlsRedis

pytestmark = pytest.mark.server

AT_ONCE_SECONDS = 15  # and not START_TIMEOUT_SECONDS; where TLS is not understood, connecting takes five of them


async def sentence(url: str, start_timeout_seconds: float = 60) -> str:
    """Return what is said of a Redis that a projector cannot use."""
    settings = ProjectorSettings.load({"REDIS_URL": url, "START_TIMEOUT_SECONDS": str(start_timeout_seconds)})
    async with AsyncExitStack() as stack:
        redis = connect(settings)
        stack.push_async_callback(redis.aclose)
        with pytest.raises(ServiceUnavailableError) as caught:
            await require_primary(redis, settings)
    return str(caught.value)


# What the server is told first, the URL, and what is said of the cause and of the remedy.
FAULTS = {
    "wrong password": (
        "ACL SETUSER bob on >word ~* +@all",
        "redis://bob:no@127.0.0.1:{port}",
        "refuses user or password",
        "correct user and password in REDIS_URL",
    ),
    "unknown user": ("PING", "redis://eve:no@127.0.0.1:{port}", "refuses user or password", "REDIS_URL"),
    "a password where there is none": (
        "PING",
        "redis://:word@127.0.0.1:{port}",
        "it has no password, and REDIS_URL has one",
        "take it out",
    ),
    "no password where it is wanted": (
        "CONFIG SET requirepass word",
        "redis://127.0.0.1:{port}",
        "it wants a password",
        "give user and password in REDIS_URL",
    ),
    "no right to INFO": (
        "ACL SETUSER bob on >word ~* +@all -info",
        "redis://bob:word@127.0.0.1:{port}",
        "a right is missing: .*info",
        "docs/operations.md",
    ),
    "wrong database": ("PING", "redis://127.0.0.1:{port}/99", "no database of this number", "the number at the end"),
    "no TLS where it is spoken": ("PING", "redis://127.0.0.1:{tls_port}", "speaks TLS", "write rediss://"),
    "TLS where it is not spoken": ("PING", "rediss://127.0.0.1:{port}", "speaks no TLS", "write redis://"),
    "no authority": ("PING", "rediss://127.0.0.1:{tls_port}", "certificate of .* is not valid", "ssl_ca_certs"),
    "another authority": (
        "PING",
        "rediss://127.0.0.1:{tls_port}?ssl_ca_certs={other_authority}",
        "certificate of .* is not valid",
        "ssl_ca_certs",
    ),
    "another name": (
        "PING",
        "rediss://127.0.0.2:{tls_port}?ssl_ca_certs={authority}",
        "certificate of .* is not valid: IP address mismatch",
        "name the server in REDIS_URL as its certificate does",
    ),
    "no certificate of the client": (
        "CONFIG SET tls-auth-clients yes",
        "rediss://127.0.0.1:{tls_port}?ssl_ca_certs={authority}",
        "wants a certificate of this client",
        "ssl_certfile and ssl_keyfile in REDIS_URL",
    ),
    "a cluster where there is none": (
        "PING",
        "redis+cluster://127.0.0.1:{port}",
        "it is no cluster",
        "write redis://",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
async def test_what_is_set_wrong_is_named_at_once(case: str, tls_redis: TlsRedis, certificates: Certificates) -> None:
    """What no waiting can mend is told at once, with what to change, and never with the advice to start it."""
    command, url, cause, remedy = FAULTS[case]
    async with client_of(tls_redis.url) as client:
        await client.execute_command(*command.split())
    started = time.monotonic()
    text = await sentence(url.format_map(vars(certificates) | vars(tls_redis)))
    assert time.monotonic() - started < AT_ONCE_SECONDS
    assert text.startswith("Redis cannot be used at "), text
    said_cause, _, said_remedy = text.rpartition("): ")
    assert re.search(cause, said_cause), text
    assert remedy in said_remedy, text
    assert "word" not in text.replace("password", "")
    assert "start it" not in text


async def test_a_replica_is_named(tls_redis: TlsRedis) -> None:
    """A projector that is led to a replica says so: it would take no write."""
    async with client_of(tls_redis.url) as client:
        await client.execute_command("REPLICAOF", "127.0.0.1", "1")
    text = await sentence(tls_redis.url)
    assert text.startswith("Redis cannot be reached at ")
    assert "it is a replica, which takes no writes): name the primary in REDIS_URL" in text


async def test_a_name_that_nobody_knows_and_a_port_where_nobody_is() -> None:
    """A host name that is not known, and a port without a server, are told apart."""
    assert "the host name nowhere.invalid is not known" in await sentence("redis://nowhere.invalid:6379", 0.5)
    text = await sentence("redis://127.0.0.1:1", 0.5)
    assert "(nobody listens on 127.0.0.1:1): start it" in text


@pytest.fixture
def cluster_node(tmp_path: Path) -> Iterator[RedisProcess]:
    """A node of a cluster that has no slots yet."""
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with RedisProcess(tmp_path, *options) as process:
        yield process


async def test_a_number_of_a_database_of_a_cluster(cluster_node: RedisProcess) -> None:
    """A cluster has one database, and is told by the scheme."""
    text = await sentence(cluster_node.url.replace("/0", "/3"))
    assert "it is a node of a cluster" in text
    assert "write redis+cluster:// in REDIS_URL" in text


async def test_a_command_that_is_hidden(tmp_path: Path) -> None:
    """A server that was told to forget the name of a command we need is told so at once, and not taken for away."""
    with RedisProcess(tmp_path, "--rename-command", "INFO", "") as process:
        text = await sentence(process.url)
    assert text.startswith("Redis cannot be used at ")
    assert "it does not know a command that is needed, or not by its name: unknown command 'INFO'" in text
    assert "take away its rename-command" in text
