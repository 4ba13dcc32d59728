"""Reaching Redis: which URLs are taken, and what is shown of them."""

from asyncio import StreamReader, StreamWriter, start_server, wait_for
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError

from devstack.ports import LOCALHOST
from service.errors import SettingsError
from service.redis import REDIS_FAULTS, address, connect, unreachable
from service.settings import RedisSettings
from tests.support.certificates import Certificates


def settings_of(url: str) -> RedisSettings:
    """Return the settings with this URL."""
    return RedisSettings.load({"REDIS_URL": url})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://example.net", "example.net:6379"),
        ("redis://example.net/", "example.net:6379"),
        ("redis://example.net:7000/3", "example.net:7000"),
        ("redis://:p%2Fss@example.net", "example.net:6379"),
        ("redis://alice:p@ss@example.net:7000", "example.net:7000"),
        ("rediss://example.net?ssl_cert_reqs=none", "example.net:6379"),
        ("redis://[::1]:7000", "[::1]:7000"),
        ("redis+cluster://example.net:7000", "example.net:7000"),
        ("redis+cluster://a:word@a.example:7000,b.example,[::1]:1/0", "a.example:7000,b.example:6379,[::1]:1"),
        ("redis+sentinel://a.example,b.example:7000/main", "a.example:26379,b.example:7000"),
        ("rediss+sentinel://alice:word@[::1],b.example/main/2?sentinel_password=x", "[::1]:26379,b.example:26379"),
        ("redis+cluster://example.net:7000?protocol=3", "example.net:7000"),
        ("rediss+cluster://alice:word@example.net:7000", "example.net:7000"),
    ],
)
async def test_the_address_is_shown_without_credentials(url: str, shown: str) -> None:
    """Host and port are what messages say, and a client can be made of every URL that is taken."""
    settings = settings_of(url)
    assert address(settings) == shown
    assert unreachable(settings, ConnectionError("refused")).startswith(
        f"Redis cannot be reached at {shown} (refused): "
    )
    await connect(settings).aclose()


@pytest.mark.parametrize(
    "url",
    [
        "example.net:6379",
        "http://example.net",
        "unix:///run/redis.sock",
        "REDIS://example.net",
        "redis:example.net",
        "redis://",
        "redis:///0",
        "redis://:6379",
        "redis://example.net:port",
        "redis://example.net:0",
        "redis://example.net:65536",
        "redis://example.net/zero",
        "redis://example.net/0/1",
        "redis://:pa/ss@example.net",
        "redis://[::1",
        "redis://example.net?decode_responses=true",
        "redis://example.net?socket_timeout=1",
        "redis://example.net?ssl_cert_reqs=none",
        "rediss://example.net?db=1",
        "redis://example.net?protocol=4",
        "redis://a.example:7000,b.example:7000",
        "redis://example.net?sentinel_password=x",
        "redis+sentinel://a.example",
        "redis+sentinel://a.example/",
        "redis+sentinel://a.example,/main",
        "redis+sentinel://a.example:port/main",
        "redis+sentinel://a.example/main/two",
        "redis+cluster://a.example/3",
        "redis+cluster://a.example,",
        "redis+cluster://a.example:0,b.example",
        "rediss://example.net?ssl_cert_reqs=perhaps",
        "rediss://example.net?ssl_check_hostname=perhaps",
    ],
)
def test_a_url_that_would_fail_later_is_a_fault(url: str) -> None:
    """What the client could not use, or would use to behave otherwise than the code expects, is told at start."""
    with pytest.raises(SettingsError, match="REDIS_URL: "):
        settings_of(url)


@pytest.mark.parametrize("scheme", ["rediss://a.example/0", "rediss+cluster://a.example", "rediss+sentinel://a/main"])
@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
def test_a_file_of_tls_that_cannot_be_used_is_a_fault(scheme: str, option: str, tmp_path: Path) -> None:
    """A file that is missing, or holds something else, is told at the start by the name of its option."""
    (tmp_path / "other.pem").write_text("no certificate")
    for path, cause in (("/does/not/exist", "cannot be read: No such file"), (tmp_path / "other.pem", "")):
        with pytest.raises(SettingsError, match=f"REDIS_URL: .*{option}.*{cause}"):
            settings_of(f"{scheme}?{option}={path}")


def test_a_key_that_is_encrypted_needs_its_password(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nobody is asked for it at a terminal: it is an option of the URL, and a wrong one is told without it."""
    certificates = Certificates(tmp_path)
    key = load_pem_private_key(certificates.client_key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")))
    url = f"rediss://a.example?ssl_certfile={certificates.client_certificate}&ssl_keyfile={locked}"
    for password in ("", "&ssl_password=geheim"):
        with pytest.raises(SettingsError, match="the password is another") as caught:
            settings_of(url + password)
        assert "geheim" not in str(caught.value)
    settings_of(f"{url}&ssl_password=word")
    assert "pass phrase" not in "".join(capfd.readouterr())


def test_all_faults_of_tls_are_told_together() -> None:
    """Who has set several options wrong learns of all of them at once."""
    with pytest.raises(SettingsError) as caught:
        settings_of("rediss://a.example?ssl_ca_certs=/no/a&ssl_certfile=/no/b&ssl_cert_reqs=c")
    assert all(
        word in str(caught.value) for word in ("ssl_ca_certs: '/no/a'", "ssl_certfile: '/no/b'", "ssl_cert_reqs")
    )


async def test_what_a_server_says_before_it_closes_is_told() -> None:
    """A server that takes no more connections says so and closes; what is sent meanwhile resets the connection."""

    async def refuse(reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(TimeoutError):
            await wait_for(reader.readexactly(1), 0.05)
            writer.transport.abort()
        if not writer.transport.is_closing():
            writer.write(b"-ERR max number of clients reached\r\n")
            writer.close()

    async with await start_server(refuse, LOCALHOST, 0) as server:
        redis = connect(settings_of(f"redis://{LOCALHOST}:{server.sockets[0].getsockname()[1]}"))
        with pytest.raises(RedisConnectionError, match="max number of clients"):
            await redis.ping()
        await redis.aclose()


async def test_a_single_server_is_asked_once_and_without_timers() -> None:
    """The client of one server gets its password and database, and neither retries nor arms a timer for a reply."""
    client = connect(settings_of("redis://alice:p%2Fss@example.net:7000/3"))
    assert isinstance(client, Redis)
    options = client.connection_pool.connection_kwargs
    assert (options["host"], options["port"], options["db"]) == ("example.net", 7000, 3)
    assert (options["username"], options["password"]) == ("alice", "p/ss")
    assert options["socket_timeout"] is None
    assert options["retry"].get_retries() == 0
    await client.aclose()


async def test_a_connection_that_a_cluster_s_client_closes_under_a_call_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What redis-py does to itself when a node dies is a fault of the way to Redis, and no fault of the program."""

    async def closed(*_: object, **__: object) -> None:
        None.writelines  # type: ignore[attr-defined]  # noqa: B018 - as redis-py fails

    monkeypatch.setattr(ClusterNode, "execute_command", closed)
    client = connect(settings_of("redis+cluster://127.0.0.1:1"))
    assert isinstance(client, RedisCluster)
    with pytest.raises(REDIS_FAULTS, match="closed while it was opened"):
        await client._execute_command(ClusterNode("127.0.0.1", 1), "GET", "key")  # noqa: SLF001 - what the client itself calls


async def test_a_cluster_is_reached_by_its_own_client() -> None:
    """A URL that says cluster gives the client of a cluster, which itself gives up a node that hangs."""
    client = connect(settings_of("redis+cluster://example.net:7000"), node_seconds=0.5, node_retries=1)
    assert isinstance(client, RedisCluster)
    assert client.connection_kwargs["socket_timeout"] == client.connection_kwargs["socket_connect_timeout"] == 0.5
    assert client.retry.get_retries() == 1
    await client.aclose()


@pytest.mark.parametrize("prefix", ["{a}", "a b", "a\n", "x" * 65])
def test_a_prefix_keeps_buckets_apart(prefix: str) -> None:
    """Braces in the prefix would decide the slot of every key, so they are not taken."""
    with pytest.raises(SettingsError, match="REDIS_PREFIX"):
        RedisSettings.load({"REDIS_PREFIX": prefix})
