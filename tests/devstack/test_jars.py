"""Kafka's jars."""

from pathlib import Path

import pytest

from devstack.errors import JarsMissingError
from devstack.jars import UNFINISHED, kafka_jars


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep jgo's own directory apart; the jars still come from the usual one."""
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_an_interrupted_build_is_mended(cache: Path) -> None:
    """A set of jars that an interrupted start left incomplete is completed at the next one."""
    jars = kafka_jars()
    jars[-1].unlink()
    (cache / "devstack" / UNFINISHED).touch()
    assert kafka_jars() == jars


def test_without_network_the_reason_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When Maven Central cannot be reached, the error says that the first start needs the network."""
    monkeypatch.setenv("M2_REPO", str(cache / "empty"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    said: list[str] = []
    with pytest.raises(JarsMissingError, match="the first start needs the network"):
        kafka_jars(said.append)
    assert "once" in said[0]
