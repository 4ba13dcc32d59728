"""Kafka's jars."""

import shutil
from pathlib import Path

import pytest
from jgo.config import GlobalSettings

from devstack.errors import JarsMissingError
from devstack.jars import UNFINISHED, kafka_jars


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the jars as jgo keeps them, and let jgo use the copy."""
    original = kafka_jars()[0].parents[1]
    shutil.copytree(original, tmp_path / original.relative_to(GlobalSettings.load().cache_dir))
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.server
def test_an_interrupted_build_is_mended(cache: Path) -> None:
    """A set of jars that an interrupted start left incomplete is completed at the next one."""
    jars = kafka_jars()
    jars[-1].unlink()
    (cache / "devstack" / UNFINISHED).touch()
    assert kafka_jars() == jars
    assert jars[-1].exists()


def test_without_network_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When Maven Central cannot be reached, the error says that the first start needs the network."""
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "repository"))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    said: list[str] = []
    with pytest.raises(JarsMissingError, match="the first start needs the network"):
        kafka_jars(said.append)
    assert "once" in said[0]
